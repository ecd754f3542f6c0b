"""The Docker Engine API on our socket: shapes (pure), routes, server and client."""
