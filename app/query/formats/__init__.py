"""Rows as bytes: JSON, NDJSON, CSV and Arrow, and content negotiation between them. Pure."""
