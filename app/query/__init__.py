"""The query side: records in the order they became durable, each once, from any moment on.

`setup` wires it together. A page, from route to bytes: endpoints/pages, params/page, scan, pages, feed,
formats/documents. Queries to the store are data (app.stores.query).

parameters           params/                 text -> a window, filters, fields, a page size; or a helpful 400
position             cursor, scan            opaque text <-> a position in a window, and the cursors that continue it
request              retrieval               the parsed request; `explain` describes it instead of running it
plan                 slices, density         window -> slices to read one by one; the length of the first slice
                     budget                  the cost limit of one request
run                  instrumented_source     query metrics and spans; source_health: whether the store can be read
read                 feed, pages             slices until the page is full; next and resume cursors, counts, waiting
                     stats                   numbers by bucket and group
                     export                  the rest of a window: `export_plan`, `export_body`; `streaming` sends it
                     tail/                   new records over an open connection
write                formats/, arrow_rows    rows -> JSON, NDJSON, CSV, Arrow
respond              endpoints/              one file per route; `answering`: the caller, and what may be cached
share                cache, answer_store     concurrent equal requests share a response; cached in memory or in Valkey
request lifecycle    reads                   the reads in progress; cancel_on_disconnect: a client that hangs up
                     concurrency_limit       the maximum number of exports and tails, in total and per caller
                     timing, problems        where the time went; a store that gives no answer
"""
