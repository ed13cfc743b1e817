"""A CDS Hooks server that knows no medicine; each part can be imported alone."""
