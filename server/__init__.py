"""Composition and process life: the only package that knows the other three."""
