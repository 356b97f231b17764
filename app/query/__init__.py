"""The way out: records in the order they became durable, each once, from any moment on.

`setup` puts it together. A page, from route to bytes: endpoints/pages, params/page, scan, pages, feed, sql/pages,
formats/documents.

what is asked        params/                 text -> a window, filters, fields, a page size; or a 400 that helps
where a reader is    cursor, scan            opaque text <-> a place in a window, and the cursors that lead on
what it comes to     retrieval               the request, understood; `explain` tells it instead of doing it
plan                 slices, density         window -> the stretches that are read one by one; how long the first one is
                     budget                  what one request may cost
SQL                  sql/                    BigQuery's dialect: keyset, copies found and left out, filters, statistics
run                  instrumented_source     metrics and spans of queries; source_health: whether the store can be read
read                 feed, pages             slices until the page is full; next and resume cursors, counts, waiting
                     stats                   numbers by bucket and group
                     export                  the rest of a window: `export_plan`, `export_body`; `streaming` sends it
                     tail/                   new records to whoever keeps a connection open
write                formats/, arrow_rows    rows -> JSON, NDJSON, CSV, Arrow
answer               endpoints/              one file a route; `answering`: who asks, what may be kept
once for equal ones  cache, answer_store     requests under way share an answer; kept in memory or in Valkey
a request's life     reads                   the reads under way; cancel_on_disconnect: a client that hangs up
                     concurrency_limit       how many exports and tails there may be, in all and of one caller
                     timing, problems        where the time went; a store that gives no answer
"""
