"""The health of the service.

probes              liveness and readiness, what they say, their routes, and gauges for the metrics
canary              how long it takes from publication until the feed shows a record
"""
