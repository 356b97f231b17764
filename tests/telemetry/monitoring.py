"""Reads infra/terraform/monitoring."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[2] / "infra" / "terraform" / "monitoring"


def alerts() -> dict[str, dict[str, Any]]:
    """Return the rules by name, each with the interval of its group."""
    groups = YAML(typ="safe").load((FOLDER / "alerts.yaml").read_text())["groups"]
    rules = [rule | {"interval": group["interval"]} for group in groups for rule in group["rules"]]
    found = {rule["alert"]: rule for rule in rules}
    assert len(found) == len(rules)
    return found


def objectives() -> dict[str, dict[str, Any]]:
    """Return the objectives by name."""
    found: dict[str, dict[str, Any]] = YAML(typ="safe").load((FOLDER / "objectives.yaml").read_text())
    return found


def board(name: str) -> dict[str, Any]:
    """Return a board: `dashboard` is Google's, `grafana` Grafana's."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def queries_of_tiles() -> Iterator[tuple[str, str]]:
    """Yield the title and each query of the tiles of Google's board."""
    for tile in board("dashboard")["mosaicLayout"]["tiles"]:
        for data in tile["widget"].get("xyChart", {}).get("dataSets", []):
            yield tile["widget"]["title"], data["timeSeriesQuery"]["prometheusQuery"]


def queries_of_panels() -> Iterator[tuple[str, str]]:
    """Yield the title and each query of the panels of Grafana's board."""
    for panel in board("grafana")["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))


def anchors(document: str) -> set[str]:
    """Return the anchors of a Markdown document: of its headings, as GitHub makes them, and those it sets itself."""
    headings = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    own = set(re.findall(r'<a id="([^"]+)">', document))
    return own | {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
