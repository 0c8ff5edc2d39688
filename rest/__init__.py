"""Everything request-shaped: one folder per domain."""
