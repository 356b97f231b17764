"""Dashboard, alerts and objectives are about metrics that exist, and lead to run-books that exist."""

import re
from pathlib import Path
from typing import get_args

import pytest

from app.query.read.instrumented_source import ReadState
from app.stores.sink import SinkState
from app.telemetry.instruments import BY_NAME, CATALOGUE
from sluice.cli.metrics import instruments_table as printed
from tests.telemetry.monitoring import (
    FOLDER,
    alerts,
    anchors,
    objectives,
    queries_of_panels,
    queries_of_tiles,
)

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text()
FILES = ("alerts.yaml", "dashboard.json", "grafana.json", "objectives.yaml")


def unknown(text: str) -> set[str]:
    """Return the names of the service's own form that no metric has; a histogram is named by its series or its type."""
    names = set(re.findall(r"\b(?:sluice|http_server)_\w+(?=[{\[)/,])", text))
    series = {
        f"{each.name}{suffix}"
        for each in CATALOGUE
        for suffix in (("_bucket", "_count", "_sum") if each.kind == "histogram" else ("",))
    }
    labels = {attribute for each in CATALOGUE for attribute in each.attributes}
    return names - series - labels - {each.name for each in CATALOGUE if f"{each.name}/{each.kind}" in text}


@pytest.mark.parametrize("name", FILES)
def test_every_metric_that_a_file_names_exists(name: str) -> None:
    """By the catalogue of the service's metrics."""
    text = (FOLDER / name).read_text()
    assert any(each.name in text for each in CATALOGUE)
    assert unknown(text) == set()


def test_every_bound_of_an_objective_is_a_bucket() -> None:
    """An objective between two buckets would be counted by the wrong one."""
    for name, objective in objectives().items():
        if "max" in objective:
            (metric,) = re.findall(r"googleapis\.com/(\w+)/histogram", objective["distribution_filter"])
            assert objective["max"] in BY_NAME[metric].bounds, name


def test_every_alert_has_a_run_book_and_none_is_left_over() -> None:
    """The run-book's alerts are those that there are."""
    linked = {rule["annotations"]["runbook_url"] for rule in alerts().values()}
    assert linked == {f"${{operations_url}}#{anchor}" for anchor in anchors(RUNBOOK) if anchor.startswith("alert-")}


def test_every_state_has_a_run_book() -> None:
    """Whatever `/health/ready` links to is there."""
    sinks = {f"sink-state-{state.value.lower()}" for state in SinkState if state is not SinkState.ACTIVE}
    reads = {f"read-state-{state.lower()}" for state in get_args(ReadState) if state != "ACTIVE"}
    assert sinks | reads | {"stuck-writer"} <= anchors(RUNBOOK)


def test_every_metric_is_documented() -> None:
    """The page of metrics holds the table that `sluice metrics` prints, as it is."""
    assert printed() in (DOCS / "metrics.md").read_text()


def test_both_boards_show_the_same() -> None:
    """Google's and Grafana's tiles have the same titles and queries, but for the choice of a system."""
    chosen = 'namespace=~"$system"'
    panels = [
        (title, query.replace(f"{chosen}, ", "").replace(f"{{{chosen}}}", "")) for title, query in queries_of_panels()
    ]
    assert panels == list(queries_of_tiles())
    assert sum(chosen in query for _, query in queries_of_panels()) > 20
