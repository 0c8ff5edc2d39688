"""Waking sleeping phones: the queue, and an adapter for each way of sending."""
