"""The demonstration's rates and percentiles, and the commands it proposes."""

from datetime import UTC, datetime

from sluice.local.demo.figures import Percentiles, percentiles, queryable_after_s, rate, stored_rate
from sluice.local.demo.report import curl_lines


def test_percentiles_are_values_that_occurred() -> None:
    """A percentile is the nearest rank's value, never one in between."""
    assert percentiles([float(n) for n in range(100, 0, -1)]) == Percentiles(50.0, 95.0, 99.0, 100.0)
    assert percentiles([0.25]) == Percentiles(0.25, 0.25, 0.25, 0.25)
    assert percentiles([]) is None


def test_the_stored_rate_is_taken_from_the_ingest_times() -> None:
    """Three records over two seconds are 1.5 a second, in whatever order they come."""
    times = ("2026-01-01T00:00:02Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01.5Z")
    assert stored_rate([{"ingest_time": time} for time in times]) == 1.5
    assert stored_rate([]) == rate(5, 0.0) == 0.0


def test_the_way_to_the_reader_begins_with_the_publication() -> None:
    """The latency of a record counts from its message's publish_time."""
    row = {"publish_time": "2026-01-01T00:00:00.250Z"}
    assert queryable_after_s(row, datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)) == 0.75


def test_commands_are_proposed_with_the_real_address() -> None:
    """Each line calls the service where it listens."""
    lines = curl_lines("http://127.0.0.1:4711", "2013-01-01-UA-1545-EWR")
    assert len(lines) == 7
    assert all(line.startswith("curl 'http://127.0.0.1:4711/v1/") for line in lines)
