"""Servers for the tests of the endpoint engine: one that misbehaves on purpose, and real ones."""
