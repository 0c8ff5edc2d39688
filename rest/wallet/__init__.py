"""What an owner sees of their money."""
