"""What Google's Telemetry API demands of metrics, as far as it is documented.

Resource and metric mapping: https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics
Names of metrics and labels: https://docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview
Limits of a request: https://docs.cloud.google.com/stackdriver/quotas
Units, and the order of points: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TimeSeries
"""

import re
import time
from collections.abc import Iterator
from typing import Any

import msgspec

MAX_POINTS = 200
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:/]*")
_UNIT = re.compile(r"(1|s|ms|us|ns|min|h|d|bit|[kMGT]?i?By)?(\{[\x21-\x7a\x7c\x7e]*\})?")
_RESERVED = {"project_id", "location", "cluster", "namespace", "job", "instance", "le", "monitored_resource"}
_CUMULATIVE = 2  # AGGREGATION_TEMPORALITY_CUMULATIVE
Labels = tuple[tuple[str, str], ...]


class RuleError(Exception):
    """The service would answer INVALID_ARGUMENT."""


class Key(msgspec.Struct, frozen=True):
    """A time series: its metric, its kind at Google, its labels, and those of its `prometheus_target`."""

    name: str
    kind: str
    labels: Labels
    resource: Labels


class Written(msgspec.Struct, frozen=True):
    """A point; instants are nanoseconds. `value` is a number, or the histogram point as it came."""

    start_ns: int
    end_ns: int
    value: Any


class Rules:
    """Keeps points that are as they have to be; `refused` says what was not."""

    def __init__(self, project: str = "p") -> None:
        self.project = project
        self.series: dict[Key, list[Written]] = {}
        self.descriptions: dict[str, tuple[str, str, str]] = {}
        """Kind, unit and description of each metric."""
        self.refused: list[str] = []
        self.serialised: list[bytes] = []

    def write(self, request: Any) -> None:
        """Take the points of an ExportMetricsServiceRequest, all or none. Raises RuleError."""
        found: dict[Key, Written] = {}
        for each in request.resource_metrics:
            target = self._target(each.resource)
            for metric in (metric for scope in each.scope_metrics for metric in scope.metrics):
                for key, point in _points(metric, target):
                    _demand(key not in found, f"{key} comes twice")
                    found[key] = self._in_order(key, point)
                told = (metric.WhichOneof("data"), metric.unit, metric.description)
                _demand(self.descriptions.setdefault(metric.name, told) == told, f"{metric.name} was another")
        _demand(0 < len(found) <= MAX_POINTS, f"{len(found)} points in a request")
        for key, written in found.items():
            self.series.setdefault(key, []).append(written)
        self.serialised.append(request.SerializeToString())

    def points(self, name: str) -> dict[Labels, Any]:
        """Return the last value of each series of a metric, by its labels."""
        return {key.labels: written[-1].value for key, written in self.series.items() if key.name == name}

    def _target(self, resource: Any) -> Labels:
        """Return the labels of the `prometheus_target` that a resource becomes."""
        told = {each.key: each.value.string_value for each in resource.attributes}
        _demand(told.get("gcp.project_id") == self.project, f"gcp.project_id is {told.get('gcp.project_id')}")
        _demand({"cloud.region", "service.instance.id"} <= told.keys(), "a resource without location or instance")
        return (
            ("project_id", self.project),
            ("location", told["cloud.region"]),
            ("cluster", "__run__" if told.get("cloud.platform") == "gcp_cloud_run" else ""),
            ("namespace", told["service.namespace"]),
            ("job", f"{told['service.namespace']}/{told['service.name']}"),
            ("instance", told["service.instance.id"]),
        )

    def _in_order(self, key: Key, new: Written) -> Written:
        last = self.series[key][-1] if key in self.series else None
        _demand(0 < new.end_ns <= time.time_ns() + 60 * 10**9, f"{key}: it ends in the future, or never")
        _demand(last is None or new.end_ns > last.end_ns, f"{key}: not after the last point")
        if key.kind != "gauge":
            _demand(0 < new.start_ns < new.end_ns, f"{key}: it starts in the future, or never")
            if last is not None:
                _demand(new.start_ns == last.start_ns, f"{key}: it began again")
                _demand(_total(new.value) >= _total(last.value), f"{key}: the count falls")
        return new


def _points(metric: Any, target: Labels) -> Iterator[tuple[Key, Written]]:
    name, data = metric.name, metric.WhichOneof("data")
    _demand(bool(_NAME.fullmatch(name) and _UNIT.fullmatch(metric.unit)), f"{name} in {metric.unit}")
    _demand(
        data == "gauge" or getattr(metric, data).aggregation_temporality == _CUMULATIVE, f"{name} is not cumulative"
    )
    kind = ("counter" if metric.sum.is_monotonic else "gauge") if data == "sum" else data
    for point in getattr(metric, data).data_points:
        labels = {each.key: each.value.string_value for each in point.attributes}
        _demand(all(map(_NAME.fullmatch, labels)) and not _RESERVED & set(labels), f"{name}: labels {sorted(labels)}")
        if data == "histogram":
            bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
            _demand(bounds == sorted(set(bounds)) and len(counts) == len(bounds) + 1, f"{name}: bounds {bounds}")
            _demand(sum(counts) == point.count, f"{name}: the counts come to {sum(counts)}, not {point.count}")
        value = point if data == "histogram" else getattr(point, point.WhichOneof("value"))
        key = Key(name, kind, tuple(sorted(labels.items())), target)
        yield key, Written(point.start_time_unix_nano, point.time_unix_nano, value)


def _total(value: Any) -> float:
    return float(getattr(value, "count", value))


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition is what it is about
    if not holds:
        raise RuleError(otherwise)
