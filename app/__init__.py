"""Sluice: Pub/Sub push in, a durable store behind, a gap-free `since` feed out.

Read `record` (what a record is), `main` (how the parts are joined), then the docstrings of `ingest` and `query`.

main, asgi, server   settings -> application; what answers a request; the process around it (version: of what)
ingest/              POST /pubsub/push, POST and PUT /v1/records -> rows that are durable before the answer
query/               GET /v1/records and what belongs to it
stores/              where rows live: the seams, DuckDB, BigQuery
erase/               DELETE /v1/records/{id}, and the command
schema/              one declaration -> columns, checks, filters, examples
auth/                who may do what, and how often
http/                what all routes share: problems, headers, answers in pieces, connections
openapi/, page/      the OpenAPI document and its page; the page for people
health/, telemetry/  probes, gauges and the heartbeat; metrics, traces and logs
settings/, runtime/  the environment; clocks, deadlines, threads, memory, Valkey
"""
