"""Tests of what people see, in Debian's Chromium against a real server."""
