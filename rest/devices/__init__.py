"""The devices that a push may wake."""
