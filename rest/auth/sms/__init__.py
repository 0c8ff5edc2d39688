"""Text messages: the port, and an adapter for each way of sending them."""
