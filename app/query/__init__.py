"""The query side: records in the order they became durable, each once, from any moment on.

`setup` wires it together. A page, from route to bytes: endpoints/pages, params/requests, scan, pages, feed,
formats/documents. Queries to the store are data (app.stores.query).

parameters           params/                 text -> a window, filters, fields, a page size; or a helpful 400
position             cursor, scan            opaque text <-> a position in a window, and the cursors that continue it
plan                 slices                  window -> slices to read one by one; the length of the first slice
run                  instrumented_source     query metrics and spans; whether the store can be read
read                 feed                    slices until the page is full, or its budget is used up
                     chunks/                 spans that one query read, and that then answer all others
                     pages                   next and resume cursors, counts, waiting; the explanation of a page
                     stats                   numbers by bucket and group
                     export                  the rest of a window, written and sent
                     tail/                   new records over an open connection
write                formats/, arrow_rows    rows -> JSON, NDJSON, CSV, Arrow
respond              endpoints/              one file per route; `responder`: the caller, and what may be cached
share                cache                   concurrent equal requests share a response; cached in memory or in Valkey
                     sealed_store            encrypts what is in Valkey
erase                erase/                  DELETE /v1/records/{id}, and the command
request lifecycle    reads                   the reads in progress: clients that hang up, stores that give no answer
"""
