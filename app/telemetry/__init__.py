"""What is seen from outside of what happens inside: metrics, traces, logs.

what there is to see     instruments          every metric: name, unit, meaning, attributes, buckets
                         attributes           the names that spans and metrics use
measured                 metrics, histogram   what has happened in this process, as plain numbers
                         requests             how long requests take, by route; a span for those that are sampled
traced                   traceparent          which trace something belongs to
                         sampling             whether it is recorded
                         tracing              the spans: one a push, an append, a request, a query
logged                   logs, lines, stacks  JSON lines or readable ones
                         redaction            without payloads and tokens
                         repetition           a fault that repeats is told a few times, and counted
handed over              collection           the numbers, as OpenTelemetry's data
                         exporters            who gets them: Cloud Trace, Cloud Monitoring, OTLP
                         prometheus           `GET /metrics`
                         providers            begun with the process, flushed at its end

Measuring is additions to plain numbers, which are read when somebody collects; a span is made only where the trace
is recorded (docs/decisions/0010-what-looking-costs.md).
"""
