"""The service's own histogram against OpenTelemetry's, which costs ten times as much."""

import math
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

from app.telemetry.instruments import PUBLISH_TO_STORED
from app.telemetry.metrics import Histogram
from tests.long_form import examples

BOUNDS = PUBLISH_TO_STORED.bounds
EDGES = [
    value for bound in BOUNDS for value in (bound, math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf))
]
VALUES = st.lists(st.sampled_from([0.0, *EDGES]) | st.floats(0, 10_000, allow_nan=False), min_size=1, max_size=30)
INSTRUMENT = msgspec.structs.replace(PUBLISH_TO_STORED, attributes=("table",), starts=())


@given(recorded=st.dictionaries(st.sampled_from(["a", "b"]), VALUES, min_size=1))
@settings(deadline=None, max_examples=examples(60))
def test_it_counts_as_opentelemetrys_does(recorded: dict[str, list[float]]) -> None:
    """The same values give the same counts and sum, for each set of attributes."""
    histogram = Histogram(INSTRUMENT)
    reader = InMemoryMetricReader()
    view = View(instrument_name="theirs", aggregation=ExplicitBucketHistogramAggregation(BOUNDS))
    provider = MeterProvider([reader], views=[view], shutdown_on_exit=False)
    theirs = provider.get_meter("test").create_histogram("theirs")
    for table, values in recorded.items():
        for value in values:
            histogram.record(value, table)
            theirs.record(value, {"table": table})
    data = reader.get_metrics_data()
    assert data is not None
    points: list[Any] = list(data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points)
    expected = {point.attributes["table"]: (list(point.bucket_counts), point.sum, point.count) for point in points}
    found = {
        attributes["table"]: (point.counts, point.total, sum(point.counts)) for attributes, point in histogram.points()
    }
    assert found == expected
    provider.shutdown()


def test_a_collected_point_is_a_copy() -> None:
    """What is recorded while an exporter reads is of the next collection: counts always add up."""
    histogram = Histogram(PUBLISH_TO_STORED)
    histogram.record(0.1, "records")
    ((_, point),) = histogram.points()
    histogram.record(0.2, "records")
    assert (sum(point.counts), point.total) == (1, 0.1)
