"""Tests mirror the four packages path by path."""
