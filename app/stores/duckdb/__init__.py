"""The embedded store: DuckDB on one file.

setup        opens it for a service
store        the tables of one file: appends in one thread, probes, closing and reopening
file         opens it, creates its tables or adds to them; whether it can write, and how much space is free
table_layout a table -> DDL, the INSERT that reads rows from JSON, what DuckDB returns, and how a table differs
loading      loads rows that arrive as Arrow
recent_keys  the delivery keys of the look-back: copies are dropped before they are stored
source       queries, each of which can be interrupted
eraser       erasure and retention
"""
