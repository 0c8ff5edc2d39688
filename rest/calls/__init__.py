"""Calls by request: the same engine as the socket, and the history of both sides."""
