"""The query side: records in the order they became durable, each once, from any moment on.

setup      wires it together
routes     an endpoint as data, and its routes
request/   text -> values: parameters, filters, cursors, and the scan of a window; or a helpful 400. Pure
read/      scan -> rows: slices until a page is full, or its budget is used up; a cache; metrics and health
chunks/    spans that one query read, and that then answer all others
answer/    rows -> bytes: one module per route, the formats, and what may be cached
stats      numbers by bucket and group
erase/     DELETE /v1/records/{id}, and the command
"""
