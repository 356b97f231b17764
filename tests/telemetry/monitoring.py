"""Reads infra/terraform/monitoring, and says what in it does not fit the service's own metrics."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from app.telemetry.instruments import BY_NAME, Instrument
from tests.telemetry.promql import RESOURCE_LABELS, wrong_query, wrong_values

FOLDER = Path(__file__).parents[2] / "infra" / "terraform" / "monitoring"
_PLACEHOLDER = re.compile(r"(?<!\$)\$\{(\w+)\}")
_TYPE = re.compile(r'metric\.type="prometheus\.googleapis\.com/(\w+)/(\w+)"')
_REQUESTS = "run.googleapis.com/request_count"  # https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run


class Monitoring(msgspec.Struct, frozen=True):
    """The files, parsed."""

    alerts: list[dict[str, Any]]
    slos: list[dict[str, Any]]
    dashboard: dict[str, Any]
    grafana: dict[str, Any]
    readme: str


def read() -> Monitoring:
    """Return what is in the folder."""
    alerts, slos, dashboard, grafana = (
        json.loads((FOLDER / f"{name}.json").read_text()) for name in ("alerts", "slos", "dashboard", "grafana")
    )
    return Monitoring(alerts, slos, dashboard, grafana, (FOLDER / "README.md").read_text())


def anchors(document: str) -> set[str]:
    """Return the anchors of a Markdown document: of its headings, as GitHub makes them, and those it sets itself."""
    headings = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    own = set(re.findall(r'<a id="([^"]+)">', document))
    return own | {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def queries_of_tiles(monitoring: Monitoring) -> Iterator[tuple[str, str]]:
    """Yield the title and each query of the tiles of Google's board."""
    for tile in monitoring.dashboard["mosaicLayout"]["tiles"]:
        for data in tile["widget"].get("xyChart", {}).get("dataSets", []):
            yield tile["widget"]["title"], data["timeSeriesQuery"]["prometheusQuery"]


def queries_of_panels(monitoring: Monitoring) -> Iterator[tuple[str, str]]:
    """Yield the title and each query of the panels of Grafana's board."""
    for panel in monitoring.grafana["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))


def wrong(monitoring: Monitoring, runbook: str) -> list[str]:
    """Return what does not fit, in a sentence each."""
    found = [*_wrong_names(monitoring), *_wrong_placeholders(monitoring)]
    for alert in monitoring.alerts:
        found += [f"alert {alert['name']}: {what}" for what in wrong_query("\n".join(alert["query"]))]
        for link in alert["documentation"]["links"]:
            base, _, anchor = link["url"].partition("#")
            if base != "${operations_url}" or anchor not in anchors(runbook):
                found.append(f"alert {alert['name']}: no heading for {link['url']}")
    for slo in monitoring.slos:
        found += [f"objective {slo['name']}: {what}" for what in _wrong_sli(slo["sli"]["request_based_sli"])]
    for board in (queries_of_tiles, queries_of_panels):
        found += [f"tile {title}: {what}" for title, query in board(monitoring) for what in wrong_query(query)]
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


def _wrong_sli(sli: dict[str, Any]) -> Iterator[str]:
    if "distribution_cut" in sli:
        cut = sli["distribution_cut"]
        yield from _wrong_filter(cut["distribution_filter"], "histogram")
        instrument = _instrument(cut["distribution_filter"])
        if instrument is not None and cut["range"]["max"] not in instrument.bounds:
            yield f"{instrument.name} has no bucket up to {cut['range']['max']}"
        return
    for text in sli["good_total_ratio"].values():
        if f'metric.type="{_REQUESTS}" AND resource.type="cloud_run_revision"' not in text:
            yield from _wrong_filter(text, "counter")


def _wrong_filter(text: str, kind: str) -> Iterator[str]:
    """What a filter of Cloud Monitoring over a metric of the service gets wrong."""
    instrument = _instrument(text)
    if instrument is None:
        yield f"there is no such metric: {text}"
        return
    if instrument.kind != kind:
        yield f"{instrument.name} is a {instrument.kind}, and no {kind}"
    if f"/{instrument.kind}" not in text:
        yield f"{instrument.name} is stored as a {instrument.kind}"
    if 'resource.type="prometheus_target"' not in text:
        yield f"{instrument.name} belongs to prometheus_target"
    for place, label, values in re.findall(r"(metric|resource)\.labels\.(\w+) *!?= *(.+?)(?= AND |$)", text):
        if label not in (instrument.attributes if place == "metric" else RESOURCE_LABELS):
            yield f"{instrument.name} has no label {label}"
        for value in re.findall(r'"([^"]*)"', values):
            yield from wrong_values(instrument, label, value)


def _instrument(text: str) -> Instrument | None:
    found = _TYPE.search(text)
    return BY_NAME.get(found[1]) if found else None
