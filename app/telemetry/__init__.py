"""Observability of the service: metrics, traces, logs.

declared                 instruments          every metric: name, unit, meaning, attributes, buckets
measured                 metrics              the counts of this process, as plain numbers
                         requests             duration by route, a span for sampled ones, the log of those cut short
traced                   tracing              what is recorded; the spans: one per push, append, request, query
logged                   logs                 JSON lines or readable ones; a repeating fault a few times a minute
                         redaction            without payloads and tokens
exported                 prometheus           `GET /metrics`
                         otlp_metrics         the numbers, through OpenTelemetry's SDK
                         providers            the receivers (Cloud Trace, OTLP), from start to the flush at the end

Measuring only adds to plain numbers, which are read on collection. Spans are created only for recorded traces.
"""
