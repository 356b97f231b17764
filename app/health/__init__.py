"""The health of the service.

probes              liveness and readiness, their routes, and gauges for the metrics
readiness           what `/health/ready` says
canary              how long it takes from publication until the feed shows a record
"""
