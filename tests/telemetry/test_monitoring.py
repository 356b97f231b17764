"""Dashboard, alerts and objectives are about metrics that exist, and lead to run-books that exist."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from app.query.instrumented_source import ReadState
from app.stores.sink import SinkState
from app.telemetry.instruments import CATALOGUE
from app.telemetry.instruments import instruments_table as printed
from tests.telemetry.monitoring import FOREIGN, OURS, Monitoring, anchors, read, wrong

RUNBOOK = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def copy_of(monitoring: Monitoring) -> Monitoring:
    """Return one to break."""
    return msgspec.convert(msgspec.to_builtins(monitoring), Monitoring)


def test_everything_fits() -> None:
    """Metrics, labels, buckets, placeholders, names and links are what they should be."""
    assert wrong(read(), RUNBOOK) == []


def test_every_metric_is_in_the_run_book() -> None:
    """The run-book holds the table that `python -m app.telemetry` prints, as it is."""
    assert printed() in RUNBOOK


def test_every_sink_state_has_a_run_book() -> None:
    """Whatever state a table may get into, somebody has written down what to do."""
    states = {f"sink-state-{state.value.lower()}" for state in SinkState if state is not SinkState.ACTIVE}
    assert states <= anchors(RUNBOOK)


def test_every_state_of_reads_and_a_stuck_writer_have_one() -> None:
    """What `/health/ready` links to is there."""
    states = {f"read-state-{state.lower()}" for state in get_args(ReadState) if state != "ACTIVE"}
    assert states | {"stuck-writer"} <= anchors(RUNBOOK)


def test_few_alerts_wake_somebody() -> None:
    """Another one that does is thought over here, and in docs/quality.md."""
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
    files = json.dumps(msgspec.to_builtins(read()))
    unwatched = {each.name for each in CATALOGUE if f"{OURS}{each.name}" not in files}
    # They explain other metrics to whoever looks into one system, and are no news by themselves.
    explaining = {
        *("sluice_append_rows", "sluice_append_connections", "sluice_in_flight_bytes"),
        *("sluice_row_late_total", "sluice_row_expired_total", "sluice_connection_closed_total"),
    }
    # What a record type drops by its own word, and what had no power for want of a signature: both leave a log line.
    assert unwatched == explaining | {"sluice_member_dropped_total", "sluice_message_unproved_total"}


def test_every_foreign_metric_is_used() -> None:
    """The list of other services' metrics holds no more than is needed."""
    files = json.dumps(msgspec.to_builtins(read()))
    assert [name for name in FOREIGN if name not in files] == []


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


def _first(monitoring: Monitoring, name: str) -> dict[str, Any]:
    return next(alert for alert in monitoring.alerts if alert["name"] == name)


def _chart(monitoring: Monitoring, title: str) -> dict[str, Any]:
    tiles = monitoring.dashboard["mosaicLayout"]["tiles"]
    chart: dict[str, Any] = next(tile["widget"] for tile in tiles if tile["widget"].get("title") == title)["xyChart"]
    return chart


def _in_query(name: str, old: str, new: str) -> Callable[[Monitoring], None]:
    def change(monitoring: Monitoring) -> None:
        alert = _first(monitoring, name)
        assert old in "\n".join(alert["query"])
        alert["query"] = [line.replace(old, new) for line in alert["query"]]

    return change


def _in_filter(title: str, old: str, new: str) -> Callable[[Monitoring], None]:
    def change(monitoring: Monitoring) -> None:
        query = _chart(monitoring, title)["dataSets"][0]["timeSeriesQuery"]["timeSeriesFilter"]
        assert old in query["filter"]
        query["filter"] = query["filter"].replace(old, new)

    return change


def _in_objective(change: Callable[[dict[str, Any]], None]) -> Callable[[Monitoring], None]:
    return lambda monitoring: change(monitoring.slos[0]["sli"]["request_based_sli"]["distribution_cut"])


_NONE = "there is no metric workload.googleapis.com/sluice."
BROKEN: list[tuple[Callable[[Monitoring], None], str]] = [
    (_in_query("processing-latency", "stored.delay", "stored.dealy"), _NONE + "message.stored.dealy_sum"),
    (_in_query("processing-latency", "delay_sum", "delay"), _NONE + "message.stored.delay"),
    (_in_query("sink-setup", "sink.state", "sink.state_count"), _NONE + "sink.state_count"),
    (
        _in_query("query-bytes", '"workload.googleapis.com/sluice_query_processed_bytes_total"', 'namespace="a"'),
        "a selector does not begin with a quoted metric",
    ),
    (
        _in_query("query-bytes", '{"workload.googleapis.com/sluice_query_processed_bytes_total"}', "sluice_bytes"),
        "a selector does not begin with a quoted metric",
    ),
    (_in_query("sink-setup", "state=~", "status=~"), "workload.googleapis.com/sluice_sink_state has no label status"),
    (_in_query("sink-setup", "table, state", "tabel, state"), "nothing has the label tabel"),
    (_in_query("sink-setup", "NOT_FOUND", "NOT_THERE"), "state is never NOT_THERE"),
    (_in_query("stored-in-time-fast", "5|5[.]0", "6|6[.]0"), "sluice_message_stored_delay_seconds has no bucket up to 6|6[.]0"),
    (_in_query("stored-in-time-fast", "5|5[.]0", "5|10"), "sluice_message_stored_delay_seconds has no bucket up to 5|10"),
    (
        _in_query("backlog", "oldest_unacked_message_age", "oldest_message_age"),
        "there is no metric pubsub.googleapis.com/subscription/oldest_message_age",
    ),
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
    (_in_filter("Queries", "sluice_query_duration_seconds", "sluice.query.time"), _NONE + "query.time"),
    (
        _in_filter("Queries", "metric.labels.purpose", "metric.labels.reason"),
        "workload.googleapis.com/sluice_query_duration_seconds has no label reason",
    ),
    (_in_filter("Queries", '"export"', '"exports"'), "purpose is never exports"),
    (
        _in_filter("Queries", "generic_task", "generic_node"),
        "workload.googleapis.com/sluice_query_duration_seconds belongs to generic_task",
    ),
    (
        lambda all_: _chart(all_, "Queries")["dataSets"][0].update(plotType="LINE"),
        "sluice_query_duration_seconds, a histogram, is drawn as LINE",
    ),
    (
        lambda all_: _chart(all_, "Queries")["thresholds"][0].update(value=3),
        "sluice_query_duration_seconds has no bucket up to 3",
    ),
    (_in_objective(lambda cut: cut["range"].update(max=4)), "sluice_message_stored_delay_seconds has no bucket up to 4"),
    (
        _in_objective(lambda cut: cut.update(distribution_filter='metric.type="workload.googleapis.com/sluice.delay"')),
        _NONE + "delay",
    ),
    (
        lambda all_: all_.slos[1]["sli"]["request_based_sli"]["good_total_ratio"].update(
            good_service_filter='metric.type="workload.googleapis.com/sluice_append_size_bytes" AND '
            'resource.type="generic_task"'
        ),
        "a ratio counts, and sluice_append_size_bytes is a histogram",
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
    found = wrong(read(), RUNBOOK.replace("### Alert backlog\n", ""))
    assert found == ["alert backlog: no heading for ${operations_url}#alert-backlog"]
