"""Rows as bytes: JSON, NDJSON, CSV, Arrow, and which of them a caller wants. Pure."""
