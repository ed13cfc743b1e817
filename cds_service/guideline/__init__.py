"""The workbench: everything a guideline stands on, and the only part of this package that guidelines import."""
