"""New records as they settle, over an open connection: server-sent events.

limit     how many tails there may be
stream    one tail: a loop over the batches behind its position, with pings
reads     the next batch behind a position, read and encoded once for all tails there; patience while the store fails
events    records, pings and endings as text, each with the cursor that continues after it
"""
