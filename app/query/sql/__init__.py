"""The texts of the queries, in BigQuery's dialect. Pure; each shape has a golden copy among the tests."""
