"""CDS Hooks on the wire: requests, cards, feedback, and decoding within limits."""
