"""The local Cloud Monitoring refuses what the service would."""

from typing import Any

import pytest
from google.cloud import monitoring_v3 as monitoring

from tests.telemetry.monitoring_rules import MetricDescriptor, RuleError, Rules

TYPE = "workload.googleapis.com/m"
TASK = {"location": "global", "namespace": "n", "job": "j", "task_id": "t"}


def descriptor(**changed: Any) -> Any:
    """Return a request that describes a counter, with parts changed."""
    told = {"type": TYPE, "metric_kind": "CUMULATIVE", "value_type": "INT64", "labels": [{"key": "known"}]} | changed
    return monitoring.CreateMetricDescriptorRequest(name="projects/p", metric_descriptor=MetricDescriptor(**told))


def point(value: Any, start_s: int = 10, end_s: int = 20) -> dict[str, Any]:
    """Return a point."""
    return {"interval": {"start_time": {"seconds": start_s}, "end_time": {"seconds": end_s}}, "value": value}


def series(**changed: Any) -> dict[str, Any]:
    """Return a series of one point, with parts changed."""
    return {
        "metric": {"type": TYPE, "labels": {"known": "x"}},
        "resource": {"type": "generic_task", "labels": TASK},
        "metric_kind": "CUMULATIVE",
        "points": [point({"int64_value": 1})],
    } | changed


def write(rules: Rules, *written: dict[str, Any]) -> None:
    """Write series."""
    rules.write(monitoring.CreateTimeSeriesRequest(name="projects/p", time_series=list(written)))


def described(**changed: Any) -> Rules:
    """Return rules that know a metric."""
    rules = Rules()
    rules.describe(descriptor(**changed))
    return rules


def test_a_point_that_is_as_it_has_to_be_is_kept() -> None:
    """And so is the next one."""
    rules = described()
    write(rules, series())
    write(rules, series(points=[point({"int64_value": 2}, end_s=30)]))
    assert rules.points("m") == {(("known", "x"),): 2}
    write(described(value_type="DISTRIBUTION"), *distribution(1, [1, 0, 0], 1.0, 2.0))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"value_type": "VALUE_TYPE_UNSPECIFIED"}, "value type"),
        ({"metric_kind": "DELTA"}, "metric kind"),
        ({"labels": [{"key": "with.dot"}]}, "labels"),
        ({"labels": [{"key": "a"}, {"key": "a"}]}, "labels"),
    ],
)
def test_a_descriptor_that_is_not_is_refused(changed: dict[str, Any], words: str) -> None:
    """Also one that contradicts the first."""
    with pytest.raises(RuleError, match=words):
        Rules().describe(descriptor(**changed))
    with pytest.raises(RuleError, match="than before"):
        described().describe(descriptor(value_type="DOUBLE"))
    with pytest.raises(RuleError, match="are gone"):
        described().describe(descriptor(labels=[]))


def distribution(count: int, counts: list[int], *bounds: float) -> list[dict[str, Any]]:
    """Return a series of one distribution."""
    buckets = {"explicit_buckets": {"bounds": list(bounds)}}
    return [
        series(
            points=[point({"distribution_value": {"count": count, "bucket_counts": counts, "bucket_options": buckets}})]
        )
    ]


@pytest.mark.parametrize(
    ("described_as", "written", "words"),
    [
        ({}, [], "0 series"),
        ({}, [series(metric={"type": TYPE, "labels": {"known": f"{n}"}}) for n in range(201)], "201 series"),
        ({}, [series(), series()], "comes twice"),
        ({}, [series(metric={"type": f"{TYPE}x"})], "no descriptor"),
        ({}, [series(metric={"type": TYPE, "labels": {"other": "x"}})], "not in the descriptor"),
        ({}, [series(resource={"type": "global"})], "resource global"),
        ({}, [series(resource={"type": "generic_task", "labels": {"job": "j"}})], "resource labels"),
        ({}, [series(resource={"type": "generic_task", "labels": TASK | {"job": ""}})], "empty resource label"),
        ({}, [series(metric_kind="GAUGE")], "kind"),
        ({}, [series(points=[])], "0 points"),
        ({}, [series(points=[point({"int64_value": 1})] * 2)], "2 points"),
        ({}, [series(points=[point({"double_value": 1})])], "a double_value"),
        ({}, [series(points=[point({"int64_value": 1}, end_s=10)])], "ends as it starts"),
        ({"metric_kind": "GAUGE"}, [series(metric_kind="GAUGE")], "a gauge with"),
        ({"value_type": "DISTRIBUTION"}, distribution(1, [1, 0], 1.0, 2.0), "2 counts for 2 bounds"),
        ({"value_type": "DISTRIBUTION"}, distribution(2, [1, 0, 0], 1.0, 2.0), "come to 1"),
        ({"value_type": "DISTRIBUTION"}, distribution(1, [1]), "no bounds"),
        ({"value_type": "DISTRIBUTION"}, distribution(1, [1, 0, 0], 2.0, 2.0), "bounds"),
    ],
)
def test_points_that_are_not_are_refused(
    described_as: dict[str, Any], written: list[dict[str, Any]], words: str
) -> None:
    """All of a request together; a distribution has a count more than bounds, which grow."""
    rules = described(**described_as)
    with pytest.raises(RuleError, match=words):
        write(rules, *written)
    assert rules.series == {}


@pytest.mark.parametrize(
    ("start_s", "end_s", "words"), [(10, 20, "not after"), (10, 15, "not after"), (15, 30, "overlap")]
)
def test_points_of_a_series_follow_each_other(start_s: int, end_s: int, words: str) -> None:
    """From the same start, or after the last end."""
    rules = described()
    write(rules, series())
    with pytest.raises(RuleError, match=words):
        write(rules, series(points=[point({"int64_value": 1}, start_s, end_s)]))
    write(rules, series(points=[point({"int64_value": 1}, 20, 30)]))
