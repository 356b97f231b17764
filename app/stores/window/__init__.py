"""The window: settled rows of a store that bills what it reads, read once and then queried in memory.

A page of a thousand rows costs such a store as much as one of a million. So one query reads all columns of a range,
without copies, into an in-memory DuckDB, which answers by the SQL of the embedded store. What is settled never changes,
so forgetting a range costs a query and changes no answer.

source    the QueryRunner: what the window answers, loads, or passes on
ranges    which ranges are loaded, which are forgotten first, and which to load. Pure
loader    reads ranges of the store, each once for all who wait for it
database  the rows, and the keys by which copies are found
"""
