"""Programs that read the API; docs/api.md names them."""
