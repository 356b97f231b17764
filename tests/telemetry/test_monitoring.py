"""Dashboard, alerts and objectives are about metrics that exist, and lead to run-books that exist."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from app.query.instrumented_source import ReadState
from app.stores.sink import SinkState
from app.telemetry.instruments import CATALOGUE
from app.telemetry.instruments import instruments_table as printed
from sluice.ops.monitoring.__main__ import FOLDER, files
from sluice.ops.monitoring.promql import FOREIGN
from tests.telemetry.monitoring import Monitoring, anchors, queries_of_panels, queries_of_tiles, read, wrong

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text()


def copy_of(monitoring: Monitoring) -> Monitoring:
    """Return one to break."""
    return msgspec.convert(msgspec.to_builtins(monitoring), Monitoring)


def test_the_files_are_what_the_declarations_make() -> None:
    """`python -m sluice.ops.monitoring` writes them, and nobody else; no file is left over."""
    made = files()
    assert {path.name for path in FOLDER.glob("*.json")} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text() == text


def test_both_boards_show_the_same() -> None:
    """Google's and Grafana's tiles have the same titles and queries, but for the choice of a system."""
    chosen = 'namespace=~"$system"'
    panels = [
        (title, query.replace(f"{chosen}, ", "").replace(f"{{{chosen}}}", ""))
        for title, query in queries_of_panels(read())
    ]
    assert panels == list(queries_of_tiles(read()))
    assert sum(chosen in query for _, query in queries_of_panels(read())) > 20


def test_grafana_would_understand_its_board() -> None:
    """It survives a round trip through the models of Grafana's own SDK, and no panels overlap."""
    board = read().grafana
    understood = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert [panel["title"] for panel in understood["panels"]] == [panel["title"] for panel in board["panels"]]
    for panel, original in zip(understood["panels"], board["panels"], strict=True):
        assert panel["type"] in {"text", "row", "timeseries"}
        assert {**panel["gridPos"]} == original["gridPos"]
        assert [each["expr"] for each in panel.get("targets", [])] == [
            each["expr"] for each in original.get("targets", [])
        ]
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    variables = {each["name"] for each in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)\}?", json.dumps(board["panels"]))) <= variables


def test_everything_fits() -> None:
    """Metrics, labels, buckets, placeholders, names and links are what they should be."""
    assert wrong(read(), RUNBOOK) == []


def test_every_metric_is_documented() -> None:
    """The page of metrics holds the table that `python -m app.telemetry` prints, as it is."""
    assert printed() in (DOCS / "metrics.md").read_text()


def test_every_sink_state_has_a_run_book() -> None:
    """Whatever state a table may get into, somebody has written down what to do."""
    states = {f"sink-state-{state.value.lower()}" for state in SinkState if state is not SinkState.ACTIVE}
    assert states <= anchors(RUNBOOK)


def test_every_state_of_reads_and_a_stuck_writer_have_one() -> None:
    """What `/health/ready` links to is there."""
    states = {f"read-state-{state.lower()}" for state in get_args(ReadState) if state != "ACTIVE"}
    assert states | {"stuck-writer"} <= anchors(RUNBOOK)


def test_few_alerts_wake_somebody() -> None:
    """Another one that does is thought over here."""
    assert {alert["name"] for alert in read().alerts if alert["severity"] == "CRITICAL"} == {
        *("stored-in-time-fast", "visible-in-time-fast", "api-available-fast", "backlog", "sink-setup"),
        "heartbeat-absent",
    }
    for alert in read().alerts:
        assert alert["user_labels"]["response"] == ("page" if alert["severity"] == "CRITICAL" else "ticket")


def test_every_alert_has_a_run_book_of_its_own_and_none_is_left_over() -> None:
    """The run-book's alerts are those that there are."""
    linked = {link["url"].partition("#")[2] for alert in read().alerts for link in alert["documentation"]["links"]}
    assert linked == {anchor for anchor in anchors(RUNBOOK) if anchor.startswith("alert-")}


def test_an_objective_has_two_alerts() -> None:
    """One for a budget that burns fast, one for one that burns slowly."""
    names = {alert["name"] for alert in read().alerts}
    assert {f"{slo['name']}-{speed}" for slo in read().slos for speed in ("fast", "slow")} <= names


def test_every_metric_of_the_service_is_watched_or_left_out_on_purpose() -> None:
    """A new instrument is put on the dashboard, or named here."""
    text = json.dumps(msgspec.to_builtins(read()))
    unwatched = {each.name for each in CATALOGUE if each.name not in text}
    # They explain other metrics to whoever looks into one system, and are no news by themselves.
    explaining = {
        *("sluice_append_rows", "sluice_append_connections", "sluice_in_flight_bytes"),
        *("sluice_row_late_total", "sluice_row_expired_total"),
        "sluice_member_undeclared_total",
    }
    # What a record type drops by its own word, and what had no power for want of a signature: both leave a log line.
    assert unwatched == explaining | {"sluice_member_dropped_total", "sluice_message_unproved_total"}


def test_every_foreign_metric_is_used() -> None:
    """The list of other services' metrics holds no more than is needed."""
    text = json.dumps(msgspec.to_builtins(read()))
    assert [metric.name for metric in FOREIGN if metric.name not in text] == []


def test_cloud_monitoring_would_understand_alerts_and_objectives() -> None:
    """They have only fields that its own message types have."""
    from google.cloud.monitoring_v3.types import AlertPolicy, ServiceLevelObjective  # noqa: PLC0415 - loads slowly

    for alert in read().alerts:
        condition = {"query": "\n".join(alert["query"]), "disable_metric_validation": True}
        condition |= {name: alert[name] for name in ("duration", "evaluation_interval")}
        policy: dict[str, Any] = {name: alert[name] for name in ("display_name", "severity", "user_labels")}
        policy["documentation"] = alert["documentation"]
        policy["conditions"] = [{"condition_prometheus_query_language": condition}]
        assert AlertPolicy.from_json(json.dumps(policy)).severity
    for slo in read().slos:
        assert 0 < slo["goal"] < 1
        assert 1 <= slo["rolling_period_days"] <= 30
        sli = slo["sli"]["request_based_sli"]
        objective = {"display_name": slo["display_name"], "service_level_indicator": {"request_based": sli}}
        assert ServiceLevelObjective.from_json(json.dumps(objective)).service_level_indicator


def test_cloud_monitoring_would_understand_the_board() -> None:
    """It has only fields that its own message types have, and its tiles lie beside each other."""
    from google.cloud.monitoring_dashboard_v1.types import Dashboard as Board  # noqa: PLC0415 - loads slowly

    board = read().dashboard
    understood = Board.from_json(json.dumps(board))
    assert len(understood.mosaic_layout.tiles) == len(board["mosaicLayout"]["tiles"])
    cells = [
        (x, y)
        for tile in understood.mosaic_layout.tiles
        for x in range(tile.x_pos, tile.x_pos + tile.width)
        for y in range(tile.y_pos, tile.y_pos + tile.height)
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < understood.mosaic_layout.columns


def _first(monitoring: Monitoring, name: str) -> dict[str, Any]:
    return next(alert for alert in monitoring.alerts if alert["name"] == name)


def _in_query(name: str, old: str, new: str) -> Callable[[Monitoring], None]:
    def change(monitoring: Monitoring) -> None:
        alert = _first(monitoring, name)
        assert old in "\n".join(alert["query"])
        alert["query"] = [line.replace(old, new) for line in alert["query"]]

    return change


def _in_tile(old: str, new: str) -> Callable[[Monitoring], None]:
    def change(monitoring: Monitoring) -> None:
        for tile in monitoring.dashboard["mosaicLayout"]["tiles"]:
            for data in tile["widget"].get("xyChart", {}).get("dataSets", []):
                query = data["timeSeriesQuery"]
                query["prometheusQuery"] = query["prometheusQuery"].replace(old, new)

    return change


def _in_objective(change: Callable[[dict[str, Any]], None]) -> Callable[[Monitoring], None]:
    return lambda monitoring: change(monitoring.slos[0]["sli"]["request_based_sli"]["distribution_cut"])


_OLDEST = "pubsub_googleapis_com:subscription_oldest_unacked_message_age"
_PIN = 'monitored_resource="pubsub_subscription", '
_DELAY = "sluice_message_stored_delay_seconds"
BROKEN: list[tuple[Callable[[Monitoring], None], str]] = [
    (_in_query("processing-latency", "stored_delay", "stored_dealy"), "there is no metric sluice_message_stored_dealy"),
    (_in_query("processing-latency", "seconds_sum", "seconds"), f"there is no metric {_DELAY}"),
    (_in_query("sink-setup", "sink_state", "sink_state_count"), "there is no metric sluice_sink_state_count"),
    (_in_query("query-bytes", "sum by", "sum of"), "it is no PromQL"),
    (_in_query("sink-setup", "state=~", "status=~"), "sluice_sink_state has no label status"),
    (_in_query("sink-setup", "table, state", "tabel, state"), "nothing has the label tabel"),
    (_in_query("sink-setup", "NOT_FOUND", "NOT_THERE"), "state is never NOT_THERE"),
    (_in_query("stored-in-time-fast", "5|5[.]0", "6|6[.]0"), f"{_DELAY} has no bucket up to 6|6[.]0"),
    (_in_query("stored-in-time-fast", "5|5[.]0", "5|10"), f"{_DELAY} has no bucket up to 5|10"),
    (
        _in_query("backlog", "oldest_unacked", "oldest"),
        "there is no metric pubsub_googleapis_com:subscription_oldest_m",
    ),
    (_in_query("backlog", _PIN, ""), f"{_OLDEST} does not pin monitored_resource to pubsub_subscription"),
    (_in_query("backlog", _PIN, 'monitored_resource=~"pubsub.*", '), f"{_OLDEST} does not pin"),
    (
        lambda all_: _first(all_, "backlog")["documentation"]["links"][0].update(url="${operations_url}#nowhere"),
        "no heading for ${operations_url}#nowhere",
    ),
    (lambda all_: all_.alerts.append(all_.alerts[0]), "alert stored-in-time-fast is there twice"),
    (_in_query("query-bytes", "query_bytes_per_hour", "budget"), "the placeholder budget is not listed"),
    (
        _in_query("query-bytes", "${query_bytes_per_hour}", "1"),
        "the placeholder query_bytes_per_hour is listed and not used",
    ),
    (_in_tile("query_duration", "query_time"), "tile Queries: there is no metric sluice_query_time_seconds_bucket"),
    (_in_tile('purpose!="export"', 'purpose!="exports"'), "purpose is never exports"),
    (_in_tile(_PIN, ""), f"{_OLDEST} does not pin"),
    (_in_objective(lambda cut: cut["range"].update(max=4)), f"{_DELAY} has no bucket up to 4"),
    (
        _in_objective(lambda cut: cut.update(distribution_filter='metric.type="workload.googleapis.com/sluice.delay"')),
        "there is no such metric",
    ),
    (
        _in_objective(
            lambda cut: cut.update(distribution_filter=cut["distribution_filter"].replace("prometheus_target", "task"))
        ),
        f"{_DELAY} belongs to prometheus_target",
    ),
    (
        _in_objective(
            lambda cut: cut.update(
                distribution_filter=cut["distribution_filter"].replace("labels.namespace", "labels.task")
            )
        ),
        f"{_DELAY} has no label task",
    ),
    (
        lambda all_: all_.slos[1]["sli"]["request_based_sli"]["good_total_ratio"].update(
            good_service_filter='metric.type="prometheus.googleapis.com/sluice_append_size_bytes/histogram" AND '
            'resource.type="prometheus_target"'
        ),
        "sluice_append_size_bytes is a histogram, and no counter",
    ),
]


@pytest.mark.parametrize(("change", "told"), BROKEN, ids=[told for _, told in BROKEN])
def test_what_is_broken_is_found(change: Callable[[Monitoring], None], told: str) -> None:
    """Each thing that is looked at, spoilt in a copy, is told in a sentence."""
    broken = copy_of(read())
    change(broken)
    found = wrong(broken, RUNBOOK)
    assert any(told in one for one in found), found


def test_a_run_book_that_lacks_a_heading_is_found() -> None:
    """Taking one alert's heading out of the run-book leaves its link without a place."""
    found = wrong(read(), RUNBOOK.replace('<a id="alert-backlog"></a>', ""))
    assert found == ["alert backlog: no heading for ${operations_url}#alert-backlog"]
