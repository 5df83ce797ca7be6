"""Word vectors from counts and from contexts."""
