"""Where State is kept: SQLite on one host, or memory for tests."""
