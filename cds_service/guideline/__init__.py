"""The workbench: what every guideline is built on, and all of this package that guidelines import."""
