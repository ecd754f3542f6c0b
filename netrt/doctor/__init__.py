"""`netrt doctor`: from what was seen of a host to what is wrong with it, and what helps (pure)."""
