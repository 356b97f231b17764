"""Where rows live: one package for each store, behind three seams.

sink         appends rows, and the outcomes of an append
source       runs queries, and their errors
eraser       deletes rows
fence        when a row is acknowledged too late for its readers; stamping: the stamps of an append
registry     which store a deployment uses, and how it is opened
duckdb/      the embedded store: one file
bigquery/    BigQuery
"""
