"""Docker's words and ours: requests become commands, State becomes JSON. No engine and no waiting; identifiers and the time come
in as arguments."""
