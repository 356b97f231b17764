"""Sluice: Pub/Sub push in, a durable store behind, a gap-free `since` feed out.

Read `record` (the record type), `main` (the composition root), then the docstrings of `ingest` and `query`.

main, asgi, server   settings -> application; request dispatch; the process around it (version: the release)
environment          settings, the clock, metrics and traces, which both halves share
streams              the record types of a deployment, and which messages each takes
ingest/              POST /pubsub/push, POST /v1/records -> rows that are durable before the response
query/               GET /v1/records and its relatives; DELETE of a record
stores/              where rows live: the seams, DuckDB, BigQuery
schema/              one declaration -> columns, checks, filters, examples
auth/                who may do what, and how often
http/                what all routes share: problems, endpoints, headers, bodies
openapi/, page/      the OpenAPI document and its page; the page for people
health/, telemetry/  probes, gauges and the canary; metrics, traces and logs
settings/, runtime/  the environment; clocks, deadlines, threads, memory, Valkey
"""
