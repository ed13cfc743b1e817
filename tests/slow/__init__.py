"""Tests of minutes, not in `make test`: `make test-slow` runs them."""
