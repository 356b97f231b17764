"""The contract of the two seams: one suite, run over DuckDB and over BigQuery (played by local-bigquery)."""
