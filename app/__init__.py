"""Sluice: Pub/Sub push in, a durable store behind, a gap-free `since` feed out.

Reading order: `record` (what a record is), `main` (how the parts are joined; `application`: the result), then the
package docstrings of `ingest` (the way in) and `query` (the way out).

    record, schema/      one declaration; every schema derived from it
    settings             configuration read once; `settings_connections`, `settings_messages`, `settings_secrets`,
                         `settings_store`, `settings_telemetry`: parts of it; `settings_rules`: what must agree;
                         `settings_table`: all of it, printed
    clock, epoch         a monotone microsecond clock; instants as integers
    time_of_day          the machine's time of day, jumps of which are not believed at once
    auth, keys           who is calling: Google-signed tokens and the key set behind them
    access/              who may use /v1, for what and how often: grants, API keys, rate limits
    ingest/              POST /pubsub/push, POST and PUT /v1/records  ->  the Appender seam
    query/               GET /v1/records and what belongs to it, /v1/rejects  <-  the QueryRunner seam
    erase/               DELETE /v1/records/{id}, and the command: a record, its versions and its rejects
    backend              which store is behind both seams:
      embedded           DuckDB, one file: `embedded_file` opens it, `embedded_appender` and `embedded_queries` (of
                         `embedded_attempt`s and `embedded_values`) use it, `embedded_probe` proves that it can be
                         written, `embedded_eraser` deletes; `disk`: how much room there is
      bigquery           BigQuery: where it is, and who calls it
    ledger               what is held for whom: bytes and places, a share for each caller
    outgoing, unread     answers in pieces, at their clients' pace; the rest of bodies that were answered early
    framing              what the headers of a request say of its form
    connection_watch     room for new connections (`sockets`: what the system knows; `shedding`: which ones to close)
    gauges               what there is now, for metrics: in flight, connections, states
    valkey               what instances share, where they share anything: cached answers, counts of requests
    reference/           the OpenAPI document, and the page to browse it
    page/                the page for people at `/` (assets: how files of pages are sent)
    errors, health       problem documents; liveness and readiness (version: of what)
    heartbeat            how long it takes from publication until the feed shows it
    reading, paths       what every route that is read has in common; the paths that several parts know
    conditional          entity tags, and for how long a copy of an answer is good
    response_headers     what every answer has
    telemetry/           metrics, traces, logs
    serve, daemon        the HTTP server and its end; threads that hold nobody up
    deadlines, footprint many deadlines on one timer; the memory of the process
    threads              how its threads take turns on one processor
"""
