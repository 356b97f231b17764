"""The query side: records in the order they became durable, each once, from any moment on.

A page, from its route to the store: five calls, six where a window stands before BigQuery.

app.http.endpoint           the request; read.reads.Reads ends it with its client, or with the service
answer.page.PageEndpoint    text -> one Scan; the page as bytes
answer.cache.AnswerCache    304, or what an equal request was answered
read.feed.Feed              slices of the window, until the page is full or its budget is used up
app.stores.window           over BigQuery only: what is loaded is answered in memory
read.instrumented_source    the query, measured; then the store's own runner (app.stores.source)

request/   text -> values: parameters, filters, cursors, and the Scan of a window; or a helpful 400. Pure
read/      Scan -> rows; the reads in progress
answer/    rows -> bytes: a module for each route but stats and erase, the formats, and the cache of answers
stats      numbers by bucket and group
erase      DELETE /v1/records/{id}
parts      what the endpoints of a stream are made of
setup      wires it together
"""
