"""The health of the service: `probes` for liveness and readiness, `gauges` for metrics, and `canary`.

The canary measures how long it takes from publication until the feed shows a record.
"""
