"""Docker's words and ours: requests become commands, State becomes JSON. Pure; identifiers and the time come in as arguments."""
