"""Reads infra/terraform/monitoring, and says what in it does not fit the service's own metrics.

Metrics of the service come from `app.telemetry.instruments`; those of other services stand in FOREIGN, with the source
of each. A query is read as the dialect that these files keep to: every selector begins with the quoted full name.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from app.stores.query import Purpose
from app.stores.sink import SinkState
from app.telemetry.instruments import BY_NAME, Instrument

FOLDER = Path(__file__).parents[2] / "infra" / "terraform" / "monitoring"
OURS = "workload.googleapis.com/"
_OF_RESOURCE = {"project_id", "location", "namespace", "job", "task_id"}  # generic_task's labels
_OF_SUBSCRIPTION = ("pubsub_subscription", frozenset({"project_id", "subscription_id"}), frozenset[str]())
_PUBSUB = "https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub"
_RUN = "https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run"
_OF_REVISION = frozenset({"project_id", "location", "service_name", "revision_name", "configuration_name"})
FOREIGN: dict[str, tuple[str, frozenset[str], frozenset[str], str]] = {
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": (*_OF_SUBSCRIPTION, _PUBSUB),
    "pubsub.googleapis.com/subscription/num_undelivered_messages": (*_OF_SUBSCRIPTION, _PUBSUB),
    "pubsub.googleapis.com/subscription/dead_letter_message_count": (*_OF_SUBSCRIPTION, _PUBSUB),
    "run.googleapis.com/request_count": (
        "cloud_run_revision",
        _OF_REVISION,
        frozenset({"response_code", "response_code_class"}),
        _RUN,
    ),
    "run.googleapis.com/container/instance_count": ("cloud_run_revision", _OF_REVISION, frozenset({"state"}), _RUN),
}
"""Metric -> its resource, the resource's labels, its own labels, and where that stands."""

_VALUES = {
    ("sluice_sink_state", "state"): {state.value for state in SinkState},
    ("sluice_query_duration_seconds", "purpose"): set(get_args(Purpose)),
    ("http_server_request_duration_seconds", "sluice_request_kind"): {"push", "write", "read", "wait", "stream"},
}
_PLACEHOLDER = re.compile(r"(?<!\$)\$\{(\w+)\}")
_SELECTOR = re.compile(r'\{("?)([^",{}]*)"?((?:, *\w+ *(?:=~|!~|!=|=) *"[^"]*")*)\}')
_MATCHER = re.compile(r'(\w+) *(=~|!~|!=|=) *"([^"]*)"')
_GROUPS = re.compile(r"\bby \(([^)]*)\)")
_SUFFIXES = {"histogram": {"bucket", "sum", "count"}, "counter": {""}, "gauge": {""}}
_ALIGNERS = {"histogram": {"ALIGN_DELTA"}, "counter": {"ALIGN_RATE"}, "gauge": {"ALIGN_MAX", "ALIGN_MEAN"}}


class Monitoring(msgspec.Struct, frozen=True):
    """The files, parsed."""

    alerts: list[dict[str, Any]]
    slos: list[dict[str, Any]]
    dashboard: dict[str, Any]
    readme: str


def read() -> Monitoring:
    """Return what is in the folder."""
    alerts, slos, dashboard = (
        json.loads((FOLDER / f"{name}.json").read_text()) for name in ("alerts", "slos", "dashboard")
    )
    return Monitoring(alerts, slos, dashboard, (FOLDER / "README.md").read_text())


def anchors(document: str) -> set[str]:
    """Return the anchors of a Markdown document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def wrong(monitoring: Monitoring, runbook: str) -> list[str]:
    """Return what does not fit, in a sentence each."""
    found = [*_wrong_names(monitoring), *_wrong_placeholders(monitoring)]
    for alert in monitoring.alerts:
        found += [f"alert {alert['name']}: {what}" for what in _wrong_query("\n".join(alert["query"]))]
        for link in alert["documentation"]["links"]:
            base, _, anchor = link["url"].partition("#")
            if base != "${operations_url}" or anchor not in anchors(runbook):
                found.append(f"alert {alert['name']}: no heading for {link['url']}")
    for slo in monitoring.slos:
        found += [f"objective {slo['name']}: {what}" for what in _wrong_sli(slo["sli"]["request_based_sli"])]
    for tile in monitoring.dashboard["mosaicLayout"]["tiles"]:
        widget = tile["widget"]
        found += [f"tile {widget.get('title')}: {what}" for what in _wrong_chart(widget.get("xyChart"))]
    return found


def _wrong_names(monitoring: Monitoring) -> Iterator[str]:
    tiles = [tile["widget"].get("title") for tile in monitoring.dashboard["mosaicLayout"]["tiles"]]
    for what, names in (
        ("alert", [alert["name"] for alert in monitoring.alerts]),
        ("title of an alert", [alert["display_name"] for alert in monitoring.alerts]),
        ("objective", [slo["name"] for slo in monitoring.slos]),
        ("tile", [title for title in tiles if title]),
    ):
        yield from (f"{what} {name} is there twice" for name in sorted(set(names)) if names.count(name) > 1)


def _wrong_placeholders(monitoring: Monitoring) -> Iterator[str]:
    used = set(_PLACEHOLDER.findall(json.dumps([monitoring.alerts, monitoring.slos, monitoring.dashboard])))
    listed = set(re.findall(r"^\| `\$\{(\w+)\}` \|", monitoring.readme, re.MULTILINE))
    yield from (f"the placeholder {name} is not listed" for name in sorted(used - listed))
    yield from (f"the placeholder {name} is listed and not used" for name in sorted(listed - used))


def _wrong_query(query: str) -> Iterator[str]:
    """What a PromQL query gets wrong."""
    plain = _PLACEHOLDER.sub("0", query)
    labels: set[str] = set()
    selectors = list(_SELECTOR.finditer(plain))
    if not selectors or len(selectors) != plain.count("{"):
        yield "a selector does not begin with a quoted metric"
    for selector in selectors:
        if not selector[1]:
            yield "a selector does not begin with a quoted metric"
            continue
        allowed, instrument = _labels_of(selector[2], suffixed=True)
        if not allowed:
            yield f"there is no metric {selector[2]}"
            continue
        labels |= allowed
        for label, _, value in _MATCHER.findall(selector[3]):
            yield from _wrong_label(selector[2], label, allowed)
            yield from _wrong_values(instrument, label, value)
    for groups in _GROUPS.findall(plain):
        yield from (f"nothing has the label {label}" for label in groups.split(", ") if label not in labels)


def _wrong_label(metric: str, label: str, allowed: set[str]) -> Iterator[str]:
    if label not in allowed:
        yield f"{metric} has no label {label}"


def _wrong_values(instrument: Instrument | None, label: str, value: str) -> Iterator[str]:
    if instrument is None:
        return
    if label == "le":
        bounds = {float(bound.replace("[.]", ".")) for bound in value.split("|")}
        if len(bounds) != 1 or not bounds <= set(instrument.bounds):
            yield f"{instrument.name} has no bucket up to {value}"
    known = _VALUES.get((instrument.name, label))
    if known is not None:
        yield from (f"{label} is never {one}" for one in value.split("|") if one not in known)


def _labels_of(metric: str, *, suffixed: bool = False) -> tuple[set[str], Instrument | None]:
    """Return the labels of a metric, none for one that is not there; and the instrument, where it is ours."""
    if metric in FOREIGN:
        _, of_resource, own, _ = FOREIGN[metric]
        return {*of_resource, *own, "monitored_resource"}, None
    if not metric.startswith(OURS):
        return set(), None
    name, suffix = metric.removeprefix(OURS), ""
    if suffixed and name not in BY_NAME:
        name, _, suffix = name.rpartition("_")
    instrument = BY_NAME.get(name)
    if instrument is None or (suffixed and suffix not in _SUFFIXES[instrument.kind]):
        return set(), None
    own_labels = {attribute.replace(".", "_") for attribute in instrument.attributes}
    more = {"le"} if suffix == "bucket" else set()
    return own_labels | _OF_RESOURCE | {"monitored_resource"} | more, instrument


def _wrong_sli(sli: dict[str, Any]) -> Iterator[str]:
    if "distribution_cut" in sli:
        cut = sli["distribution_cut"]
        yield from _wrong_filter(cut["distribution_filter"])
        instrument = _instrument(cut["distribution_filter"])
        if instrument is not None and cut["range"]["max"] not in instrument.bounds:
            yield f"{instrument.name} has no bucket up to {cut['range']['max']}"
        return
    for text in sli["good_total_ratio"].values():
        yield from _wrong_filter(text)
        instrument = _instrument(text)
        if instrument is not None and instrument.kind != "counter":
            yield f"a ratio counts, and {instrument.name} is a {instrument.kind}"


def _wrong_chart(chart: dict[str, Any] | None) -> Iterator[str]:
    for data in chart["dataSets"] if chart else []:
        query = data["timeSeriesQuery"]
        if "prometheusQuery" in query:
            yield from _wrong_query(query["prometheusQuery"])
            continue
        one = query["timeSeriesFilter"]
        yield from _wrong_filter(one["filter"])
        metric = _metric(one["filter"])
        allowed, instrument = _labels_of(metric)
        for field in one["aggregation"].get("groupByFields", []):
            yield from _wrong_label(metric, field.rpartition(".")[2], allowed)
        if instrument is None:
            continue
        if one["aggregation"]["perSeriesAligner"] not in _ALIGNERS[instrument.kind]:
            yield f"{one['aggregation']['perSeriesAligner']} is not for a {instrument.kind}"
        if (data["plotType"] == "HEATMAP") != (instrument.kind == "histogram"):
            yield f"{instrument.name}, a {instrument.kind}, is drawn as {data['plotType']}"
        for threshold in chart.get("thresholds", []) if chart and instrument.kind == "histogram" else []:
            if threshold["value"] not in instrument.bounds:
                yield f"{instrument.name} has no bucket up to {threshold['value']}"


def _wrong_filter(text: str) -> Iterator[str]:
    """What a filter of Cloud Monitoring gets wrong."""
    metric = _metric(text)
    allowed, instrument = _labels_of(metric)
    if not allowed:
        yield f"there is no metric {metric}"
        return
    resource = "generic_task" if instrument is not None else FOREIGN[metric][0]
    if f'resource.type="{resource}"' not in text:
        yield f"{metric} belongs to {resource}"
    for label, values in re.findall(r"(?:metric|resource)\.labels?\.(\w+) *!?= *(.+?)(?: AND |$)", text):
        yield from _wrong_label(metric, label, allowed)
        for value in re.findall(r'"([^"]*)"', values):
            yield from _wrong_values(instrument, label, value)


def _metric(text: str) -> str:
    found = re.search(r'metric\.type="([^"]+)"', text)
    return found[1] if found else ""


def _instrument(text: str) -> Instrument | None:
    return _labels_of(_metric(text))[1]
