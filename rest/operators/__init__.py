"""What operators see of the machinery, and what they may do to it."""
