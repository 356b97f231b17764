"""Programs that read the API, as docs/api.md shows them."""
