"""Gauges for the metrics: messages in flight, the state of each table, and open connections."""

from collections.abc import Callable, Mapping

from app.ingest.admission import Admission
from app.ingest.writer import Writer
from app.stores.sink import SinkState
from app.telemetry import instruments
from app.telemetry.metrics import Metrics, Values


def watch_gauges(
    metrics: Metrics,
    admission: Admission,
    sinks: Mapping[str, Writer],
    connections: Callable[[], Mapping[str, int]],
) -> None:
    """Register the gauges; `sinks` and the result of `connections` are keyed by table name."""

    def states() -> Values:
        return [
            (int(writer.health.state is state), {"table": table, "state": state.value})
            for table, writer in sinks.items()
            for state in SinkState
        ]

    metrics.watch(instruments.IN_FLIGHT_MESSAGES, lambda: [(admission.messages, {})])
    metrics.watch(instruments.IN_FLIGHT_BYTES, lambda: [(admission.bytes, {})])
    metrics.watch(instruments.SINK_STATE, states)
    metrics.watch(
        instruments.SINK_OLDEST_WAIT,
        lambda: [(writer.oldest_wait_s, {"table": table}) for table, writer in sinks.items()],
    )
    metrics.watch(
        instruments.APPEND_CONNECTIONS,
        lambda: [(count, {"table": table}) for table, count in connections().items()],
    )
