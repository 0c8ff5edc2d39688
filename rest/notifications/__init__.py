"""The inbox of an account, and what the house writes into it."""
