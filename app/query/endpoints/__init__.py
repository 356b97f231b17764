"""The routes of the query side: one file per endpoint, and their description in the OpenAPI document."""
