"""The demonstration: real data through the whole system, and a check that all of it arrived.

plan      what to publish, and what must come of each message          (pure)
publish   the plan through google-cloud-pubsub's client; redeliveries by hand
readback  follow the feed while records arrive; read it all again
checks    what was read against the plan                               (pure)
figures   rates and percentiles                                        (pure)
report    what the terminal shows
command   `python -m dev demo`: the above in order, on a `dev.local.LocalStack`
"""
