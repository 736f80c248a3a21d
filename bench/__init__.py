"""Measurements and proofs: each module is a command that prints a table for people and, with --json, one JSON object."""
