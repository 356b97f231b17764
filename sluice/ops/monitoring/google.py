"""Alerts, objectives and the board, as Terraform hands them to Cloud Monitoring (infra/terraform/monitoring)."""

from typing import Any

from sluice.ops.monitoring.alerts import ALERTS, Alert
from sluice.ops.monitoring.objectives import OBJECTIVES
from sluice.ops.monitoring.promql import SYSTEM, scoped
from sluice.ops.monitoring.tiles import SECTIONS, Line, Tile

_WIDTH, _HEIGHT, _HEADER = 48, 16, 4
_GUIDE = (
    "One board for all systems; filter by **namespace** (top left) for one of them. Latencies are those of all systems "
    "together, and the lists of the worst ten say whose they are. Charts of Pub/Sub and Cloud Run use the names of "
    "subscriptions and services. What to do: [run-books](${operations_url})."
)


def alerts() -> list[dict[str, Any]]:
    """Return the alert policies."""
    return [_policy(alert) for alert in ALERTS]


def _policy(alert: Alert) -> dict[str, Any]:
    link = f"${{operations_url}}#alert-{alert.run_book or alert.name}"
    return {
        "name": alert.name,
        "display_name": alert.title,
        "severity": "CRITICAL" if alert.pages else "WARNING",
        "query": scoped(alert.query, "").split("\n"),
        "duration": f"{alert.for_s}s",
        "evaluation_interval": f"{alert.every_s}s",
        "documentation": {
            "subject": alert.title,
            "content": alert.text,
            "links": [{"display_name": "Run-book", "url": link}],
        },
        "user_labels": {"product": "sluice", "response": "page" if alert.pages else "ticket"},
    }


def slos() -> list[dict[str, Any]]:
    """Return the objectives."""
    return [
        {
            "name": each.name,
            "display_name": each.title,
            "goal": each.goal,
            "sli": {"request_based_sli": each.sli},
            "rolling_period_days": 30,
            "user_labels": {"product": "sluice"},
        }
        for each in OBJECTIVES
    ]


def dashboard() -> dict[str, Any]:
    """Return the board."""
    tiles = [
        _placed(0, 0, 32, 10, {"title": "How to read this page", "text": {"format": "MARKDOWN", "content": _GUIDE}}),
        _placed(32, 0, 16, 10, {"title": "Open incidents", "incidentList": {}}),
    ]
    y = 10
    for section in SECTIONS:
        header = {"subtitle": section.subtitle, "dividerBelow": False}
        tiles.append(_placed(0, y, _WIDTH, _HEADER, {"title": section.title, "sectionHeader": header}))
        y += _HEADER
        width = _WIDTH // len(section.tiles)
        for number, tile in enumerate(section.tiles):
            tiles.append(_placed(number * width, y, width, _HEIGHT, {"title": tile.title, "xyChart": _chart(tile)}))
        y += _HEIGHT
    return {
        "displayName": "Sluice",
        "labels": {"product": "sluice"},
        "dashboardFilters": [{"labelKey": SYSTEM, "filterType": "RESOURCE_LABEL", "stringValue": ""}],
        "mosaicLayout": {"columns": _WIDTH, "tiles": tiles},
    }


def _placed(x: int, y: int, width: int, height: int, widget: dict[str, Any]) -> dict[str, Any]:
    return {"xPos": x, "yPos": y, "width": width, "height": height, "widget": widget}


def _chart(tile: Tile) -> dict[str, Any]:
    chart: dict[str, Any] = {
        "dataSets": [_data_set(tile, line) for line in tile.lines],
        "yAxis": {"label": tile.unit.strip("{}").replace("}/", "/"), "scale": "LINEAR"},
    }
    if tile.objective is not None:
        chart["thresholds"] = [{"value": tile.objective, "label": "objective"}]
    return chart


def _data_set(tile: Tile, line: Line) -> dict[str, Any]:
    legend = line.legend or " ".join(f"${{{label}}}" for label in line.labels)
    return {
        "plotType": "STACKED_AREA" if tile.stacked else "LINE",
        "targetAxis": "Y1",
        "legendTemplate": legend.replace("${", "$${"),  # Terraform's templatefile makes one $ of two
        "timeSeriesQuery": {"prometheusQuery": scoped(line.query, ""), "unitOverride": tile.unit},
    }
