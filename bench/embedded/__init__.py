"""The embedded store (DuckDB) at millions of rows.

millions           `make bench-embedded`: what reading costs at millions of rows, over HTTP
million_rows       … the rows
"""
