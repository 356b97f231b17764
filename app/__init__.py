"""Sluice: Pub/Sub push in, a durable store behind, a gap-free `since` feed out.

Reading order: `record` (what a record is), `main` (how the parts are joined), then the
package docstrings of `ingest` (the way in) and `query` (the way out).

    record, schema/   one declaration; every schema derived from it
    settings, clock   configuration read once; a monotone microsecond clock
    auth, keys        who is calling: Google-signed tokens and the key set behind them
    ingest/           POST /pubsub/push, POST and PUT /v1/records  ->  the Appender seam
    query/            GET /v1/records, /v1/records/{id}, /v1/rejects  <-  the QueryRunner seam
    embedded          DuckDB behind both seams
    errors, health    problem documents; liveness and readiness
    access, paths     who may use /v1; the paths that several parts know
    reading           what every route that is read has in common
    telemetry         what is counted, and how it is logged
"""
