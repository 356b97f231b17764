"""What Cloud Monitoring demands of descriptors and points, as far as it is documented.

https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/create
https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TimeSeries
https://cloud.google.com/monitoring/api/resources#tag_generic_task
"""

import itertools
import re
from typing import Any

import msgspec
from google.api import metric_pb2  # type: ignore[import-untyped] # generated, without types

MetricDescriptor: Any = metric_pb2.MetricDescriptor
MAX_SERIES = 200
_LABEL = re.compile("[a-zA-Z][a-zA-Z0-9_]*")
_TASK = {"project_id", "location", "namespace", "job", "task_id"}
_VALUES = {
    MetricDescriptor.INT64: "int64_value",
    MetricDescriptor.DOUBLE: "double_value",
    MetricDescriptor.DISTRIBUTION: "distribution_value",
}
SeriesKey = tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
"""The type of a series, its labels, and those of its resource."""


class RuleError(Exception):
    """The service would answer INVALID_ARGUMENT."""


class Written(msgspec.Struct, frozen=True):
    """A point of a series; instants are nanoseconds. Of a gauge both are the same."""

    start_ns: int
    end_ns: int
    value: Any


class Rules:
    """Keeps descriptors and points that are as they have to be; `refused` says what was not."""

    def __init__(self) -> None:
        self.descriptors: dict[str, Any] = {}
        self.series: dict[SeriesKey, list[Written]] = {}
        self.refused: list[str] = []
        self.serialised: list[bytes] = []

    def describe(self, request: Any) -> None:
        """Take a descriptor. Raises RuleError."""
        new = request.metric_descriptor
        _demand(request.name == "projects/p", f"the project is {request.name}")
        _demand(new.value_type in _VALUES, f"{new.type}: value type {new.value_type}")
        _demand(new.metric_kind in {MetricDescriptor.GAUGE, MetricDescriptor.CUMULATIVE}, f"{new.type}: metric kind")
        labels = [label.key for label in new.labels]
        _demand(len(labels) == len(set(labels)) <= 30, f"{new.type}: labels {labels}")
        _demand(all(_LABEL.fullmatch(label) for label in labels), f"{new.type}: labels {labels}")
        old = self.descriptors.get(new.type)
        if old is not None:
            same = (old.value_type, old.metric_kind) == (new.value_type, new.metric_kind)
            _demand(same, f"{new.type}: another value type or metric kind than before")
            missing = {label.key for label in old.labels} - set(labels)
            _demand(not missing, f"{new.type}: the labels {missing} are gone")
        self.descriptors[new.type] = new
        self.serialised.append(type(request).serialize(request))

    def write(self, request: Any) -> None:
        """Take points, all or none. Raises RuleError."""
        _demand(request.name == "projects/p", f"the project is {request.name}")
        _demand(0 < len(request.time_series) <= MAX_SERIES, f"{len(request.time_series)} series")
        found: dict[SeriesKey, Written] = {}
        for one in request.time_series:
            key, point = self._series(type(one).pb(one))
            _demand(key not in found, f"{key} comes twice")
            found[key] = point
        for key, point in found.items():
            self.series.setdefault(key, []).append(point)
        self.serialised.append(type(request).serialize(request))

    def points(self, name: str) -> dict[tuple[tuple[str, str], ...], Any]:
        """Return the last value of each series of a metric, by its labels."""
        return {
            labels: written[-1].value
            for (metric, labels, _), written in self.series.items()
            if metric == f"workload.googleapis.com/{name}"
        }

    def _series(self, series: Any) -> tuple[SeriesKey, Written]:
        name, labels, resource = series.metric.type, dict(series.metric.labels), dict(series.resource.labels)
        descriptor = self.descriptors.get(name)
        if descriptor is None:
            raise RuleError(f"{name} has no descriptor")
        known = {label.key for label in descriptor.labels}
        _demand(set(labels) <= known, f"{name}: labels {set(labels) - known} are not in the descriptor")
        _demand(series.resource.type == "generic_task", f"{name}: resource {series.resource.type}")
        _demand(_TASK - {"project_id"} <= set(resource) <= _TASK, f"{name}: resource labels {resource}")
        _demand(all(resource.values()), f"{name}: an empty resource label in {resource}")
        _demand(series.metric_kind == descriptor.metric_kind, f"{name}: kind {series.metric_kind}")
        _demand(series.value_type in {0, descriptor.value_type}, f"{name}: value type {series.value_type}")
        _demand(len(series.points) == 1, f"{name}: {len(series.points)} points")
        (point,) = series.points
        kind = point.value.WhichOneof("value")
        _demand(kind == _VALUES[descriptor.value_type], f"{name}: a {kind}")
        value = getattr(point.value, kind)
        if kind == "distribution_value":
            _check_distribution(name, value)
        key: SeriesKey = name, tuple(sorted(labels.items())), tuple(sorted(resource.items()))
        return key, self._in_order(key, descriptor, point.interval, value)

    def _in_order(self, key: SeriesKey, descriptor: Any, interval: Any, value: Any) -> Written:
        end_ns = interval.end_time.ToNanoseconds()
        start_ns = interval.start_time.ToNanoseconds() if interval.HasField("start_time") else end_ns
        last = self.series[key][-1] if key in self.series else None
        _demand(end_ns > 0, f"{key}: no end time")
        if descriptor.metric_kind == MetricDescriptor.GAUGE:
            _demand(start_ns == end_ns, f"{key}: a gauge with a start time")
        else:
            _demand(start_ns < end_ns, f"{key}: it ends as it starts, or before")
        if last is not None:
            _demand(end_ns > last.end_ns, f"{key}: not after the last point")
            _demand(start_ns == last.start_ns or start_ns >= last.end_ns, f"{key}: intervals that overlap")
        return Written(start_ns, end_ns, value)


def _check_distribution(name: str, value: Any) -> None:
    bounds, counts = list(value.bucket_options.explicit_buckets.bounds), list(value.bucket_counts)
    _demand(bool(bounds), f"{name}: no bounds")
    _demand(all(a < b for a, b in itertools.pairwise(bounds)), f"{name}: bounds {bounds}")
    _demand(len(counts) == len(bounds) + 1, f"{name}: {len(counts)} counts for {len(bounds)} bounds")
    _demand(sum(counts) == value.count, f"{name}: the counts come to {sum(counts)}, not {value.count}")


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition is what it is about
    if not holds:
        raise RuleError(otherwise)
