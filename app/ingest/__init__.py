"""Ingest: a message becomes durable rows, or durable rejects, before it is acknowledged.

    1 authenticate        app.auth.tokens     who pushes
    2 admit               intake              read the body, within limits on bytes in flight, its size and time
    3 open the envelope   decode              request -> Message
    4 choose the stream   app.streams         by path, subscription or attribute
    5 drop known copies   write.dedupe        by message; a new one enters its stream's share of what is in flight
    6 decode              decode              Message -> rows and rejects; after a seek, without what is stored
    7 store the rejects   pipeline            before the records: nothing is acknowledged without them
    8 append              write               over the Appender seam; rows that the store refuses become rejects
    9 answer              push, submit        204 to Pub/Sub; 201, 207 or 422 over HTTP; 429 or 503 to retry

`PushEndpoint.take` (push) calls them in this order. 5 to 8 are methods of `Pipeline`, whose `process` calls them for
submissions and backfills. `setup` assembles it.

The store is behind the Appender seam (app.stores.sink).
"""
