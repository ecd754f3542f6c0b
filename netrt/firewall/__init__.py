"""State to nftables: a constant skeleton of chains, and set and map elements for whatever exists. Pure."""
