"""The recipe for Grafana: what Infinity would ask is answered, and becomes the rows that its panels plot."""

import json
import sys
from typing import Any

import jsonata
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from sluice.testing.service import Service
from tests.rules import ROOT
from tests.shop import shop

RECIPE = ROOT / "examples" / "grafana"
BOARD: dict[str, Any] = json.loads((RECIPE / "dashboard.json").read_text())
TARGETS: list[dict[str, Any]] = [target for panel in BOARD["panels"] for target in panel["targets"]]
RANGE = {"${__from:date:iso}": "2026-01-31T11:57:00.000Z", "${__to:date:iso}": "2026-01-31T12:00:00.000Z"}


LIMIT = 1_000
"""Python's own: the package for JSONata raises it for the whole process when it is imported."""
sys.setrecursionlimit(LIMIT)


async def answer(service: Service, target: dict[str, Any]) -> dict[str, Any]:
    """Send the request that Infinity would make of a query, in the dashboard's time range."""
    params = {each["key"]: RANGE.get(each["value"], each["value"]) for each in target["url_options"]["params"]}
    assert "${" not in json.dumps(params)
    response = await service.client.get(target["url"], params=params)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def rows(target: dict[str, Any], told: dict[str, Any]) -> list[dict[str, Any]]:
    """Apply the root selector, then the columns; a member that is missing is null."""
    selected = jsonata.Jsonata(target["root_selector"]).evaluate(told)
    return [{each["text"]: row.get(each["selector"]) for each in target["columns"]} for row in selected]


@pytest.mark.parametrize("target", TARGETS, ids=[panel["title"] for panel in BOARD["panels"]])
async def test_each_value_of_the_statistics_becomes_a_row(target: dict[str, Any]) -> None:
    """Nothing is lost, doubled or shifted between the answer and what is plotted."""
    async with shop() as service:
        told = await answer(service, target)
    assert told["series"]
    expected = [
        {"time": time, "series": series["key"], "values": [series["values"][name][number] for name in told["metrics"]]}
        for series in told["series"]
        for number, time in enumerate(told["buckets"])
    ]
    numbers = [each["text"] for each in target["columns"] if each["type"] == "number"]
    is_split = any(each["type"] == "string" for each in target["columns"])
    assert len(numbers) == len(told["metrics"])
    assert [
        {"time": row["time"], "series": row["source"] if is_split else None, "values": [row[name] for name in numbers]}
        for row in rows(target, told)
    ] == expected


def test_grafana_would_understand_the_dashboard() -> None:
    """It survives a round trip through the models of Grafana's own SDK."""
    understood = json.loads(JSONEncoder().encode(Dashboard.from_json(BOARD)))
    assert [panel["title"] for panel in understood["panels"]] == [panel["title"] for panel in BOARD["panels"]]
