"""The way in: a message becomes durable rows, or durable rejects, before it is acknowledged.

    authenticate          app.auth            who pushes
    take the body in      intake, admission   within limits on number, bytes and time
    open the envelope     envelope            request -> Message (wrapped or unwrapped)
    drop known copies     dedupe              by message, as that is what is acknowledged
    decode and validate   records             Message -> rows and rejects
    append                writer, batcher     group commit over the Appender seam; wait until durable
                          verdict             what follows each outcome: the decisions
    answer                push, submit        204 to Pub/Sub; 201, 207 or 422 over HTTP

`pipeline` joins the stages from the copies to the append; `rejects` makes the rows of what could not be stored.
"""
