"""What lies between nodes: who is where, and parcels from one to the other."""
