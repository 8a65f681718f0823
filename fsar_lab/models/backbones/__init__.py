"""Analysis and synthesis networks."""
