"""Answer requests: rows as JSON, NDJSON, CSV, Arrow and events, and what may be cached."""
