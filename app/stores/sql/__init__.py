"""Queries as SQL in BigQuery's dialect. Pure; each query shape has a golden copy in the tests."""
