"""The demonstration: real data through the whole system, and a check that all of it arrived.

plan      the messages to publish, and their expected results          (pure)
publish   the plan through google-cloud-pubsub's client; redeliveries by hand
run       publish, follow the feeds meanwhile, read them all again
checks    compare the rows read with the plan                          (pure)
report    the output on the terminal
command   `sluice demo`: the above in order, on a `sluice.local.environment.LocalStack`
"""
