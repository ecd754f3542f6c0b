"""From what people asked for to what this host's kernel should hold. Pure; one file for each mode of network."""
