"""Measurements: nothing here asserts a time; `make bench`, `make servers`, `make soak` and `make scale` print them."""
