"""Requests of our own, mutated: make fuzz sends 100,000 of them, the tests a few hundred."""
