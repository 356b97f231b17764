"""Gauges for the metrics: messages in flight, the state of each table, and open connections."""

from collections.abc import Callable, Mapping

from app.ingest.admission import Admission
from app.ingest.write.table_writer import TableWriter
from app.stores.sink import SinkState
from app.telemetry import instruments
from app.telemetry.metrics import Metrics


def watch_gauges(
    metrics: Metrics,
    admission: Admission,
    sinks: Mapping[str, TableWriter],
    connections: Callable[[], Mapping[str, int]],
) -> None:
    """Set the gauges of `metrics`; `sinks` and the result of `connections` are keyed by table name."""
    metrics.gauges |= {
        instruments.IN_FLIGHT_MESSAGES: lambda: [(admission.messages, {})],
        instruments.IN_FLIGHT_BYTES: lambda: [(admission.bytes, {})],
        instruments.SINK_STATE: lambda: [
            (int(writer.health.state is state), {"table": table, "state": state.value})
            for table, writer in sinks.items()
            for state in SinkState
        ],
        instruments.SINK_OLDEST_WAIT: lambda: [
            (writer.oldest_wait_s, {"table": table}) for table, writer in sinks.items()
        ],
        instruments.APPEND_CONNECTIONS: lambda: [(count, {"table": table}) for table, count in connections().items()],
    }
