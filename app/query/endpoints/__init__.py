"""The routes of the way out: one file an endpoint, and what the OpenAPI document says of them."""
