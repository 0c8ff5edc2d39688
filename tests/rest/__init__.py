"""Tests of the REST package, against a real application and database."""
