"""What is counted reaches OpenTelemetry; what is logged is what Cloud Logging reads."""

import io
import logging
from collections.abc import Iterator

import msgspec
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Sum

from app.telemetry import Counters, configure_logging, observe, observe_states


def test_counters_are_collected_with_their_attributes() -> None:
    """Each count is an instrument of its own, read when somebody collects."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    counters = Counters()
    observe(counters, provider.get_meter("test"))
    counters.stored_records = 3
    counters.duplicate_messages = 2
    counters.rejected_records["invalid"] += 4
    counters.push_answers[204] += 5
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, *sorted((point.attributes or {}).items())): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if isinstance(metric.data, Sum)
        for point in metric.data.data_points
    }
    assert found == {
        ("sluice.records.stored",): 3,
        ("sluice.messages.duplicate",): 2,
        ("sluice.records.rejected", ("reason", "invalid")): 4,
        ("sluice.push.answers", ("http.response.status_code", 204)): 5,
    }
    provider.shutdown()


def test_the_state_of_each_table_is_a_gauge_with_the_state_as_an_attribute() -> None:
    """Whoever alerts counts the tables whose state is not ACTIVE; the state is read at each collection."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    states = {"records": "ACTIVE"}
    observe_states(lambda: states, provider.get_meter("test"))
    seen = []
    for state in ("ACTIVE", "NOT_FOUND"):
        states["records"] = state
        data = reader.get_metrics_data()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        assert metric.name == "sluice.sink.state"
        assert isinstance(metric.data, Gauge)
        seen += [(dict(point.attributes or {}), point.value) for point in metric.data.data_points]
    assert seen == [({"table": "records", "state": "ACTIVE"}, 1), ({"table": "records", "state": "NOT_FOUND"}, 1)]
    provider.shutdown()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def _logger() -> Iterator[None]:
    """Leave the service's logger as it was."""
    logger = logging.getLogger("sluice")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.usefixtures("_logger")
def test_logs_are_json_lines_as_cloud_logging_reads_them() -> None:
    """One object a line, a traceback included, with severity and time."""
    stream = io.StringIO()
    configure_logging(stream)
    log = logging.getLogger("sluice.test")
    log.info("hello %s", "world")
    try:
        int("a defect")
    except ValueError:
        log.exception("it failed")
    first, second = (msgspec.json.decode(line) for line in stream.getvalue().splitlines())
    assert (first["severity"], first["message"], first["logger"]) == ("INFO", "hello world", "sluice.test")
    assert first["time"].endswith("Z")
    assert second["severity"] == "ERROR"
    assert second["message"].startswith("it failed\nTraceback")


@pytest.mark.usefixtures("_logger")
def test_logs_on_a_terminal_are_readable_lines() -> None:
    """Whoever watches is not made to read JSON; and configuring twice logs once."""
    stream = Terminal()
    configure_logging(stream)
    configure_logging(stream)
    logging.getLogger("sluice.test").warning("careful")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("WARNING careful")
