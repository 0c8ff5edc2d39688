"""The caller's own profile, other people's public one, and the block list."""
