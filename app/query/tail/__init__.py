"""New records as they settle, to whoever keeps a connection open: server-sent events.

who may subscribe     hub           at most so many; one poller for each set of filters
look for new rows     poller        one query after the other, for all subscribers with the same filters
read                  reading       a batch of rows behind a position; again, with pauses, when the store fails
keep                  recent        the newest batches, within limits; each is written once for each choice of fields
follow                subscriber    a position; by the poller's batches, or by its own where those do not reach back
write                 events        records, pings and endings as text, each with the cursor that goes on behind it
"""
