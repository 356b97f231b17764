"""Parse the query string into values, or a helpful 400. Pure."""
