"""What operators load into programs of others fits the server."""
