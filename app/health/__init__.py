"""The health of the service.

probes              liveness and readiness, and their routes
readiness           what `/health/ready` says
backlog             what waits in Pub/Sub, read only while a caller looks
gauges              metrics
canary              how long it takes from publication until the feed shows a record
"""
