"""What Google's Telemetry API demands of metrics, as far as it is documented.

Resource and metric mapping: https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics
Names of metrics and labels: https://docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview
Limits of a request: https://docs.cloud.google.com/stackdriver/quotas
Units, and the order of points: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TimeSeries
"""

import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

import msgspec

MAX_POINTS = MAX_RESOURCES = 200
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_:./]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
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
        _demand(0 < len(request.resource_metrics) <= MAX_RESOURCES, f"{len(request.resource_metrics)} ResourceMetrics")
        found: dict[Key, Written] = {}
        descriptions: dict[str, tuple[str, str, str]] = {}
        for resource, metric in _metrics(request):
            target = self._target(resource)
            for key, point in _points(metric, target):
                _demand(key not in found, f"{key} comes twice")
                found[key] = self._in_order(key, point)
            told = (metric.WhichOneof("data"), metric.unit, metric.description)
            known = self.descriptions.get(metric.name, told)
            _demand(known[:2] == told[:2], f"{metric.name}: {told[:2]} and was {known[:2]}")
            descriptions[metric.name] = told
        _demand(0 < len(found) <= MAX_POINTS, f"{len(found)} points in a request")
        self.descriptions |= descriptions
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
        location = next(filter(None, map(told.get, ("location", "cloud.availability_zone", "cloud.region"))), "")
        _demand(bool(location), "a resource without location")
        instance, name = told.get("service.instance.id", ""), told.get("service.name", "")
        _demand(bool(instance), "a point without instance")
        space = told.get("service.namespace", "")
        cluster = {"gcp_compute_engine": "__gce__", "gcp_cloud_run": "__run__"}.get(told.get("cloud.platform", ""), "")
        return (
            ("project_id", self.project),
            ("location", location),
            ("cluster", cluster),
            ("namespace", space),
            ("job", f"{space}/{name}" if space else name),
            ("instance", instance),
        )

    def _in_order(self, key: Key, new: Written) -> Written:
        last = self.series[key][-1] if key in self.series else None
        _demand(0 < new.end_ns <= time.time_ns() + 60 * 10**9, f"{key}: it ends in the future, or never")
        if last is not None:
            _demand(new.end_ns > last.end_ns, f"{key}: not after the last point")
        if key.kind == "gauge":
            return new
        _demand(0 < new.start_ns < new.end_ns, f"{key}: it starts in the future, or never")
        if last is not None:
            _demand(new.start_ns == last.start_ns or new.start_ns >= last.end_ns, f"{key}: intervals that overlap")
            falls = new.start_ns == last.start_ns and _total(new.value) < _total(last.value)
            _demand(not falls, f"{key}: the count falls")
        return new


def _metrics(request: Any) -> Iterator[tuple[Any, Any]]:
    for each in request.resource_metrics:
        for scope in each.scope_metrics:
            yield from ((each.resource, metric) for metric in scope.metrics)


def _points(metric: Any, target: Labels) -> Iterator[tuple[Key, Written]]:
    name = metric.name
    _demand(bool(_NAME.fullmatch(name)), f"{name} is no name of a metric")
    _demand(bool(_UNIT.fullmatch(metric.unit)), f"{name}: unknown unit {metric.unit}")
    kind = _kind(metric)
    for point in getattr(metric, metric.WhichOneof("data")).data_points:
        labels = {each.key: each.value.string_value for each in point.attributes}
        _demand(all(map(_LABEL.fullmatch, labels)), f"{name}: labels {sorted(labels)}")
        _demand(not _RESERVED & set(labels), f"{name}: labels {sorted(_RESERVED & set(labels))} are the resource's")
        if kind == "histogram":
            _check_histogram(name, point)
            value: Any = point
        else:
            value = getattr(point, point.WhichOneof("value"))
        key = Key(name, kind, tuple(sorted(labels.items())), target)
        yield key, Written(point.start_time_unix_nano, point.time_unix_nano, value)


def _kind(metric: Any) -> str:
    """Return the last part of the metric's type at Google."""
    data = metric.WhichOneof("data")
    _demand(data in {"gauge", "sum", "histogram"}, f"{metric.name}: a {data}")
    if data == "gauge":
        return "gauge"
    _demand(getattr(metric, data).aggregation_temporality == _CUMULATIVE, f"{metric.name} is not cumulative")
    if data == "histogram":
        return "histogram"
    return "counter" if metric.sum.is_monotonic else "gauge"


def _check_histogram(name: str, point: Any) -> None:
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    _demand(bool(bounds), f"{name}: no bounds")
    _demand(all(a < b for a, b in itertools.pairwise(bounds)), f"{name}: bounds {bounds}")
    _demand(len(counts) == len(bounds) + 1, f"{name}: {len(counts)} counts for {len(bounds)} bounds")
    _demand(sum(counts) == point.count, f"{name}: the counts come to {sum(counts)}, not {point.count}")


def _total(value: Any) -> float:
    return float(getattr(value, "count", value))


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition is what it is about
    if not holds:
        raise RuleError(otherwise)
