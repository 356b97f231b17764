"""The board, as Grafana reads it: the same tiles, over Managed Prometheus or a Prometheus that scrapes the service.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from typing import Any

from sluice.ops.monitoring.promql import SYSTEM, scoped
from sluice.ops.monitoring.tiles import SECTIONS, Line, Tile

_WIDTH, _HEIGHT = 24, 8
_UNITS = {"s": "s", "By/s": "Bps"}
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_GUIDE = (
    "Choose the data source: Google's Managed Prometheus, or a Prometheus that scrapes `/metrics` and sets the label "
    "`namespace`. Charts of Pub/Sub and Cloud Run have data only on Google Cloud."
)
_ANY_STREAM = "([.][a-z0-9_]+)?"
# What Terraform fills in on Google's board; by the names that Terraform gives a system called sluice.
_NAMES = {
    "topics": f"sluice{_ANY_STREAM}",
    "push_subscriptions": f"sluice-push{_ANY_STREAM}",
    "dead_letter_subscriptions": f"sluice-dead-letters{_ANY_STREAM}",
    "services": "sluice",
}


def board() -> dict[str, Any]:
    """Return the board."""
    panels: list[dict[str, Any]] = []

    def add(kind: str, title: str, place: tuple[int, int, int, int], **more: Any) -> None:
        grid = dict(zip(("x", "y", "w", "h"), place, strict=True))
        panels.append({"id": len(panels) + 1, "type": kind, "title": title, "gridPos": grid, **more})

    add("text", "How to read this page", (0, 0, _WIDTH, 3), options={"mode": "markdown", "content": _GUIDE})
    y = 3
    for section in SECTIONS:
        add("row", section.title, (0, y, _WIDTH, 1), collapsed=False, panels=[])
        width = _WIDTH // len(section.tiles)
        for number, tile in enumerate(section.tiles):
            add("timeseries", tile.title, (number * width, y + 1, width, _HEIGHT), **_chart(tile))
        y += 1 + _HEIGHT
    return {
        "uid": "sluice",
        "title": "Sluice",
        "tags": ["sluice"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _variables() -> list[dict[str, Any]]:
    chosen = f"label_values(sluice_record_stored_total, {SYSTEM})"
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        {
            "name": "system",
            "label": "System",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": chosen, "refId": "systems"},
            "definition": chosen,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
        *({"name": name, "type": "textbox", "query": value, "hide": 0} for name, value in _NAMES.items()),
    ]


def _chart(tile: Tile) -> dict[str, Any]:
    stacking = {"mode": "normal" if tile.stacked else "none", "group": "A"}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if tile.objective is not None:
        steps.append({"color": "red", "value": tile.objective})
    style = "line" if tile.objective is not None else "off"
    defaults = {
        "unit": _UNITS.get(tile.unit, "short"),
        "min": 0,
        "custom": {"stacking": stacking, "thresholdsStyle": {"mode": style}},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    targets = [_target(line, chr(ord("A") + number)) for number, line in enumerate(tile.lines)]
    return {"datasource": _SOURCE, "targets": targets, "fieldConfig": {"defaults": defaults, "overrides": []}}


def _target(line: Line, name: str) -> dict[str, Any]:
    legend = line.legend or " ".join(f"{{{{{label}}}}}" for label in line.labels)
    return {
        "refId": name,
        "datasource": _SOURCE,
        "expr": scoped(line.query, f'{SYSTEM}=~"$system"'),
        "legendFormat": legend,
        "range": True,
    }
