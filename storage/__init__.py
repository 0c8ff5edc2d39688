"""The floor: PostgreSQL, and nothing of ours below it."""
