"""What traces, metrics and logs cost a push (`make bench-telemetry`).

overhead  pushes a second with all of it on and with none of it; one value recorded, ours and OpenTelemetry's
service   the service over a store that only acknowledges, which both of them are
"""
