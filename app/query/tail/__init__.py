"""New records as they settle, over an open connection: server-sent events.

admit      hub           limits the subscribers; one poller for each set of filters
poll       poller        one query after the other, for all subscribers with the same filters; pauses if the store fails
buffer     recent        the newest batches, within limits; each is encoded once for each choice of fields
follow     subscriber    a position; uses the poller's batches, or its own reads if those do not reach back far enough
write      events        records, pings and endings as text, each with the cursor that continues after it
"""
