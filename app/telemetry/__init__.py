"""What is seen from outside of what happens inside: metrics, traces, logs.

what there is to see     instruments          every metric: name, unit, meaning, attributes, buckets
                         attributes           the names that spans and metrics use
measured                 metrics, histogram   what has happened in this process, as plain numbers
                         requests             how long requests take, by route; a span for those that are sampled
traced                   sampling             which trace a request belongs to, and whether it is recorded
                         tracing              the spans: one a push, an append, a request, a query
logged                   logs, redaction      JSON lines or readable ones, without payloads and tokens
handed over              collection           the numbers, as OpenTelemetry's data
                         exporters            who gets them: Cloud Trace, Cloud Monitoring, OTLP
                         prometheus           `GET /metrics`
                         providers            begun with the process, flushed at its end

Measuring is additions to plain numbers, which are read when somebody collects; a span is made only where the trace
is recorded (docs/decisions/0010-what-looking-costs.md).
"""
