"""Suites by what they need: see docs/developer/tests.md."""
