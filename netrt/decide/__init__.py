"""What a command does to a State, and what forbids it. Pure: the host's facts and the time come in as values."""
