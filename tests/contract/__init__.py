"""One suite over every source of nodes."""
