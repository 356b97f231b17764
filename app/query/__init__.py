"""The query side: records in the order they became durable, each once, from any moment on.

A page, from its route (app.http.endpoint) to the store:

read.reads.Reads            ends the request with its client, or with the service
answer.page.PageEndpoint    text -> one Scan, and the page as bytes; over BigQuery, it learns the horizon by a query
answer.cache.AnswerCache    304, an answer that is kept, or one computation for all equal requests
read.feed.Feed              slices of the window, until the page is full or its budget is used up
app.stores.window           over BigQuery only: answers what is loaded, loads what is missing, or passes the query on
read.instrumented_source    measures and bills the query; then the store's own runner (app.stores.source)

request/   text -> values: parameters, filters, cursors, and the Scan of a window; or a helpful 400. Pure
read/      Scan -> rows; the reads in progress
answer/    rows -> bytes: a module for each route but stats and erase, the formats, and the cache of answers
stats      numbers by bucket and group
erase      DELETE /v1/records/{id}
parts      what the endpoints of a stream are made of
setup      wires it together
"""
