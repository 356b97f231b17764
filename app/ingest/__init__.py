"""Ingest: a message becomes durable rows, or durable rejects, before it is acknowledged.

    authenticate          app.auth.tokens     who pushes
    read the body         intake, admission   within limits on number, bytes and time
    open the envelope     decode              request -> Message
    choose the stream     router, routing     by path, subscription or attribute; `shares` of what is in flight
    drop known copies     dedupe              by message, since messages are acknowledged
                          earlier             by record, in the table: deliveries of long ago
    decode and validate   decode              Message -> rows and rejects
    append                write               over the Appender seam; wait until durable
    answer                push, submit        204 to Pub/Sub; 201, 207 or 422 over HTTP
                          verdict             durable, or the problem that has it delivered again: 429, 503

`contracts` describes the endpoints for the OpenAPI document. `setup` assembles it.
`pipeline` joins the stages from the copies to the append. `reject_writer` stores what could not be stored as records.

The store is behind the Appender seam (app.stores.sink).
"""
