"""The way in: a message becomes durable rows, or durable rejects, before it is acknowledged.

    authenticate          app.auth            who pushes
    open the envelope     envelope            request -> Message (wrapped or unwrapped)
    decode and validate   records             Message -> rows and rejects
    drop known copies     dedupe              by (message id, publish time)
    append                writer, batcher     group commit over the Appender seam; wait until durable
                          verdict             what follows each outcome: the decisions
    answer                push, submit        204 to Pub/Sub; 201, 207 or 422 over HTTP

`pipeline` joins the middle four; `rejects` makes the rows of what could not be stored.
"""
