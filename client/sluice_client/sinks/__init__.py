"""Targets that take each record once: the rows of a page and the cursor behind it are stored together, or neither is.

sink         what a target does, and the target that a text names
sql_sink     tables: the state beside them, and a transaction for each page
sql          its statements, as text
sqlite       a SQLite file
duckdb_file  a DuckDB file
postgres     a Postgres database
parquet      a folder of Parquet files with a manifest
values       values of the API as those of Python
"""
