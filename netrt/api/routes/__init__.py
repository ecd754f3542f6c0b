"""What each method and path does: read the request, ask the engine, answer."""
