"""Tests: unit (no socket), service (Flask client), campaigns (inputs by the thousand), system (a real server)."""
