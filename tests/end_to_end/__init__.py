"""Whole servers, real sockets, real media, real kills."""
