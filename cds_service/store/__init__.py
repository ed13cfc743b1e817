"""Stored data: the only package that uses SQL."""
