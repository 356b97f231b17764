"""Ingest: a message becomes durable rows, or durable rejects, before it is acknowledged.

    authenticate          app.auth.tokens     who pushes
    read the body         intake, admission   within limits on number, bytes and time
    open the envelope     envelope            request -> Message (wrapped or unwrapped)
                          proof               attributes that affect what readers see, and their signatures
    choose the stream     router, routing     by path, subscription, attribute or member; `shares` of what is in flight
    drop known copies     dedupe              by message, since messages are acknowledged
                          earlier             by record, in the table: deliveries of long ago
    decode and validate   records, rows       Message -> rows and rejects
                          record_splitter     the bytes of each record (app.runtime.compression: gzip, with a limit)
                          record_faults       every error of a record, after its decoder gave the first
                          record_versions     which version a record is, and how it becomes the newest
                          decoding_cost       the cost of decoding JSON, estimated before decoding
                          time_slicing        long reads in short stretches of the event loop, heavy ones one at a time
                          payload_hints       a guess at the format of a payload that is not JSON
    append                write               over the Appender seam; wait until durable
    answer                push, submit        204 to Pub/Sub; 201, 207 or 422 over HTTP
                          verdict             durable, or the problem that has it delivered again: 429, 503

`contracts` describes the endpoints for the OpenAPI document. `setup` assembles it.
`pipeline` joins the stages from the copies to the append. `rejects` makes rows of records that could not be stored, and
`reject_writer` stores them.
`reject_scrubbing` removes personal data from rejects.
`undeclared_members` counts the members that a record type does not declare.

The store is behind the Appender seam (app.stores.sink).
"""
