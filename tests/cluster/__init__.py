"""`make cluster`: a call between two nodes that are killed and replaced under it, to look at."""
