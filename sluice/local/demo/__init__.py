"""The demonstration: real data through the whole system, and a check that all of it arrived.

plan      the messages to publish, and their expected results          (pure)
run       publish through Google's client, redeliver by hand, follow the feeds meanwhile, read them all again
checks    compare the rows read with the plan                          (pure)
command   `sluice demo`: the above in order and its output, on a `sluice.local.environment.LocalStack`
"""
