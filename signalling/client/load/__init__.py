"""Load: many users at once, whose devices check everything they are told."""
