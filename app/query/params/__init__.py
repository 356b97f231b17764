"""The query string, as values or as a 400 that helps. Pure."""
