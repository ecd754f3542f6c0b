"""netrtd: the process that owns the engine, serves the API, and watches what runs in containers."""
