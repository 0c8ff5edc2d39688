"""Live calls on this node: hosts that run them, the registry that finds them, what users may do."""
