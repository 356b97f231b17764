"""Where rows live: one package for each store, behind three seams.

sink         the ingest seam: appends, their outcomes, and when one is acknowledged too late for its readers
stamping     the stamps of an append
source       the query seam: a runner of queries, its answers and errors
query        what crosses it: queries as data
backend      which store a deployment uses, what it provides once it is open; the seam of erasure
sql/         queries as SQL in BigQuery's dialect, for stores that speak it
duckdb/      the embedded store: one file
bigquery/    BigQuery
window/      what was read of BigQuery, and then answers all others
"""
