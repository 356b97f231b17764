"""The Telemetry API of the tests refuses what Google's would, and takes the rest."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.otlp_rules import RuleError, Rules

START_NS = 1_700_000_000_000_000_000
Change = Callable[[ExportMetricsServiceRequest], None]


def request(value: int = 1, end_s: int = 10, start_ns: int = START_NS) -> ExportMetricsServiceRequest:
    """Return an export of a counter and a histogram."""
    made = ExportMetricsServiceRequest()
    each = made.resource_metrics.add()
    told = {"gcp.project_id": "p", "cloud.region": "r", "service.name": "s", "service.instance.id": "i"}
    for name, text in told.items():
        each.resource.attributes.add(key=name).value.string_value = text
    scope = each.scope_metrics.add()
    times = {"start_time_unix_nano": start_ns, "time_unix_nano": START_NS + end_s * 10**9}
    counter: Any = scope.metrics.add(name="m_total", unit="{record}")
    counter.sum.aggregation_temporality, counter.sum.is_monotonic = 2, True
    counter.sum.data_points.add(as_int=value, **times).attributes.add(key="known").value.string_value = "x"
    histogram: Any = scope.metrics.add(name="h_seconds", unit="s").histogram
    histogram.aggregation_temporality = 2
    histogram.data_points.add(count=value, sum=1, bucket_counts=[0, value, 0], explicit_bounds=[1.0, 2.0], **times)
    return made


def counter_of(made: ExportMetricsServiceRequest) -> Any:
    """Return the counter of a request."""
    return made.resource_metrics[0].scope_metrics[0].metrics[0]


def histogram_of(made: ExportMetricsServiceRequest) -> Any:
    """Return the histogram of a request."""
    return made.resource_metrics[0].scope_metrics[0].metrics[1]


def without(attribute: str) -> Change:
    """Return what takes a resource attribute away."""

    def change(made: ExportMetricsServiceRequest) -> None:
        attributes = made.resource_metrics[0].resource.attributes
        kept = [each for each in attributes if each.key != attribute]
        del attributes[:]
        attributes.extend(kept)

    return change


def to_counter(change: Callable[[Any], Any]) -> Change:
    """Return what changes the counter."""

    def changed(made: ExportMetricsServiceRequest) -> None:
        change(counter_of(made))

    return changed


def to_point(change: Callable[[Any], Any]) -> Change:
    """Return what changes the histogram's point."""

    def changed(made: ExportMetricsServiceRequest) -> None:
        change(histogram_of(made).histogram.data_points[0])

    return changed


def many(counter: Any) -> None:
    """Give a counter too many points."""
    for number in range(201):
        point = counter.sum.data_points.add()
        point.CopyFrom(counter.sum.data_points[0])
        point.attributes[0].value.string_value = str(number)


def set_to(name: str, value: Any) -> Callable[[Any], None]:
    """Return what sets an attribute of a message."""
    return lambda message: setattr(message, name, value)


def test_points_that_are_as_they_have_to_be_are_kept() -> None:
    """And so are the next ones, and those of a process that starts after the end of the last."""
    rules = Rules()
    rules.write(request())
    rules.write(request(value=2, end_s=20))
    rules.write(request(value=1, end_s=40, start_ns=START_NS + 30 * 10**9))
    assert rules.points("m_total") == {(("known", "x"),): 1}
    (key,) = (key for key in rules.series if key.name == "m_total")
    assert dict(key.resource)["job"] == "s"


FUTURE_NS = 2 * 10**18 + time.time_ns()
REFUSED: list[tuple[Change, str]] = [
    (without("service.instance.id"), "without instance"),
    (without("cloud.region"), "without location"),
    (without("gcp.project_id"), "project_id is None"),
    (to_counter(set_to("name", "1_total")), "no name of a metric"),
    (to_counter(set_to("name", "größe_total")), "no name of a metric"),
    (to_counter(set_to("unit", "parsecs")), "unknown unit"),
    (to_counter(lambda each: set_to("aggregation_temporality", 1)(each.sum)), "not cumulative"),
    (to_counter(lambda each: set_to("key", "a-b")(each.sum.data_points[0].attributes[0])), "labels"),
    (to_counter(lambda each: set_to("key", "instance")(each.sum.data_points[0].attributes[0])), "the resource's"),
    (to_counter(lambda each: each.sum.data_points.append(each.sum.data_points[0])), "comes twice"),
    (to_counter(many), "points in a request"),
    (to_point(set_to("start_time_unix_nano", FUTURE_NS)), "starts in the future"),
    (to_point(set_to("start_time_unix_nano", 0)), "starts in the future, or never"),
    (to_point(set_to("time_unix_nano", FUTURE_NS)), "ends in the future"),
    (to_point(set_to("count", 2)), "come to 1"),
    (to_point(lambda point: point.bucket_counts.append(0)), "4 counts for 2 bounds"),
    (to_point(lambda point: point.explicit_bounds.__setitem__(0, 2.0)), "bounds"),
    (lambda made: made.resource_metrics.__delitem__(0), "0 ResourceMetrics"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_points_that_are_not_are_refused(change: Change, words: str) -> None:
    """All of a request together."""
    rules, made = Rules(), request()
    change(made)
    with pytest.raises(RuleError, match=words):
        rules.write(made)
    assert rules.series == {}


@pytest.mark.parametrize(
    ("following", "words"),
    [
        (request(value=4, end_s=20), "the count falls"),
        (request(value=5, end_s=10), "not after the last point"),
        (request(value=5, end_s=20, start_ns=START_NS + 5 * 10**9), "overlap"),
    ],
)
def test_points_of_a_series_follow_each_other(following: ExportMetricsServiceRequest, words: str) -> None:
    """A counter grows, or starts again after its last point."""
    rules = Rules()
    rules.write(request(value=5))
    with pytest.raises(RuleError, match=words):
        rules.write(following)


def test_a_metric_stays_what_it_is() -> None:
    """Its kind and its unit cannot change."""
    rules = Rules()
    rules.write(request())
    changed = request(value=2, end_s=20)
    counter_of(changed).unit = "By"
    with pytest.raises(RuleError, match="and was"):
        rules.write(changed)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer expired"}, 401),
        ({"x-goog-user-project": "other"}, 403),
        ({"Content-Type": "application/json"}, 415),
    ],
)
async def test_credentials_and_project_are_demanded(cloud: CloudServer, headers: dict[str, str], status: int) -> None:
    """A request without them is not read."""
    token = cloud.otlp.new_token()["access_token"]
    told = {"Authorization": f"Bearer {token}", "x-goog-user-project": "p", "Content-Type": "application/x-protobuf"}
    async with httpx.AsyncClient() as client:
        url = f"{cloud.otlp.url}/v1/metrics"
        answer = await client.post(url, content=request().SerializeToString(), headers=told | headers)
    assert answer.status_code == status
    assert bool(cloud.rules.series) == (status == 200)
