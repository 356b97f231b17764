"""Where rows live: one package for each store, behind three seams.

sink         the ingest seam: appends, and their outcomes
source       the query seam: a runner of queries, its answers and errors
query        what crosses it: queries as data
eraser       the seam of erasure
fence        when a row is acknowledged too late for its readers; stamping: the stamps of an append
backend      what a store provides, once it is open
registry     which store a deployment uses, and how it is opened
sql/         queries as SQL in BigQuery's dialect, for stores that speak it
duckdb/      the embedded store: one file
bigquery/    BigQuery
"""
