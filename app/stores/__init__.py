"""Where rows live: one package for each store, behind three seams.

sink         the ingest seam: appends, their outcomes, and when rows count as late
stamping     the stamps of an append
source       the query seam: a runner of queries, its answers and errors
query        what crosses it: queries as data
backend      which store a deployment uses, what it provides once it is open; the seam of erasure
sql/         queries as SQL in BigQuery's dialect, which is translated for DuckDB
duckdb/      the embedded store: one file
bigquery/    BigQuery
window/      settled rows of BigQuery kept in memory, which answer later queries
"""
