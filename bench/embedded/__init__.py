"""The embedded store (DuckDB) by itself, mostly without HTTP: what decisions about its rows and its queries rest on.

insert             `make bench-insert`: how a batch of rows best travels to the store, durably
insert_contenders  … the ways that are compared
feed_pages         `make bench-pages`: what a page or a look-up costs over a million rows, by each query
feed_contenders    … the queries that are compared, and what is read
feed_rows          … the rows
millions           `make bench-embedded`: what reading costs at millions of rows, over HTTP
million_rows       … the rows
"""
