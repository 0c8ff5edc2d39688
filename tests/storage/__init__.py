"""Tests of the storage package, against a real PostgreSQL."""
