"""Tests: unit (no socket), service (Flask client), system (a real server)."""
