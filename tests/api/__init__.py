"""The whole API, asked with requests made of its OpenAPI document (Schemathesis)."""
