"""Every alert fires when it should and is silent when it should not; every tile shows something.

The queries are evaluated by Prometheus's own engine over series that the running service has sent to the local
Telemetry API. Series of Pub/Sub and Cloud Run, which only Google writes, are made by hand, with the labels of their
documentation.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.ops.monitoring.google import alerts
from sluice.ops.monitoring.promql import FOREIGN
from tests import promtool
from tests.telemetry.cloud_servers import serving_cloud
from tests.telemetry.monitoring import queries_of_tiles, read
from tests.telemetry.promql import metrics_of
from tests.telemetry.scenarios import Phase, record
from tests.telemetry.timeline import Segments, constant, failures, growing, holds, series

NAMES = {
    "topics": "(sluice)",
    "push_subscriptions": "(sluice)-push([.][a-z0-9_]+)?",
    "paused_subscriptions": "(sluice-push[.]visits)",
    "dead_letter_subscriptions": "(sluice)-dead-letters",
    "services": "(sluice)",
    "query_bytes_per_hour": "100000000",
}
"""What Terraform fills in."""

pytestmark = pytest.mark.slow  # the service runs for a quarter of a minute before the first

HOUR, DAY = 60, 24 * 60
# By alert: the trouble in which it fires, and what it is silent in. Each ends with the minutes that matter.
TROUBLE: dict[str, tuple[Segments, Segments]] = {
    "stored-in-time-fast": ([("good", HOUR), ("late", 65)], [("good", 2 * HOUR)]),
    "stored-in-time-slow": ([("good", HOUR), ("late", 7 * HOUR)], [("late", 20), ("good", 7 * HOUR)]),
    "stored-not-rejected-fast": ([("good", HOUR), ("rejecting", 65)], [("good", 2 * HOUR)]),
    "stored-not-rejected-slow": ([("rejecting", 7 * HOUR)], [("rejecting", 20), ("good", 7 * HOUR)]),
    "api-available-fast": ([("good", HOUR), ("failing", 65)], [("good", 2 * HOUR)]),
    "api-available-slow": ([("failing", 7 * HOUR)], [("failing", 20), ("good", 7 * HOUR)]),
    "api-in-time-fast": ([("good", HOUR), ("slow", 65)], [("good", 2 * HOUR)]),
    "api-in-time-slow": ([("slow", 7 * HOUR)], [("slow", 20), ("good", 7 * HOUR)]),
    "queries-in-time-fast": ([("good", HOUR), ("slow", 65)], [("good", 2 * HOUR)]),
    "queries-in-time-slow": ([("slow", 7 * HOUR)], [("slow", 20), ("good", 7 * HOUR)]),
    "visible-in-time-fast": ([("good", HOUR), ("late-canaries", 65)], [("good", 2 * HOUR)]),
    "visible-in-time-slow": ([("unseen", 7 * HOUR)], [("good", 7 * HOUR)]),
    "processing-latency": ([("good", 20), ("late", 10)], [("good", 30)]),
    "api-latency": ([("good", 20), ("slow", 10)], [("slow", 10), ("good", 20)]),
    "api-p95": ([("good", 20), ("slow", 15)], [("good", 30)]),
    "query-time": ([("good", 20), ("slow", 15)], [("good", 30)]),
    "error-rate": ([("good", 20), ("failing", 20)], [("good", 30)]),
    "volume": ([("good", DAY + HOUR), ("idle", 3 * HOUR)], [("good", DAY + 4 * HOUR)]),
    "query-bytes": ([("good", HOUR), ("expensive", HOUR)], [("good", 2 * HOUR)]),
    "sink-setup": ([("good", 20), ("missing", 10)], [("good", 20), ("unreachable", 10)]),
    "sink-columns": ([("good", 20), ("lacking", 20)], [("good", 20), ("missing", 20)]),
    "sink-trouble": ([("good", 20), ("unreachable", 20)], [("good", 20), ("missing", 20)]),
    "heartbeat-absent": ([("good", HOUR), ("idle", 20)], [("idle", HOUR), ("good", 30)]),
    "heartbeat-missed": ([("good", HOUR), ("unseen", 20)], [("good", 2 * HOUR)]),
}
_PUSH = {"monitored_resource": "pubsub_subscription", "project_id": "p", "subscription_id": "sluice-push"}
_DEAD = _PUSH | {"subscription_id": "sluice-dead-letters"}
_STREAM, _PAUSED = (_PUSH | {"subscription_id": f"sluice-push.{name}"} for name in ("payments", "visits"))
_OTHER = _PUSH | {"subscription_id": "other-push"}
_AGE = "pubsub_googleapis_com:subscription_oldest_unacked_message_age"
_DEAD_LETTERED = "pubsub_googleapis_com:subscription_dead_letter_message_count"
_UNDELIVERED = "pubsub_googleapis_com:subscription_num_undelivered_messages"
BY_HAND: dict[str, list[tuple[list[dict[str, str]], bool]]] = {
    "backlog": [
        ([constant(_AGE, _PUSH, 121, 30)], True),
        ([constant(_AGE, _PUSH, 119, 30)], False),
        ([constant(_AGE, _OTHER, 300, 30)], False),
        ([constant(_AGE, _STREAM, 121, 30)], True),
        ([constant(_AGE, _PAUSED, 9_000, 30)], False),
        ([constant(_AGE, _PAUSED, 9_000, 30), constant(_AGE, _STREAM, 121, 30)], True),
    ],
    "dead-letters": [
        ([growing(_DEAD_LETTERED, _PUSH, 1, 30)], True),
        ([constant(_UNDELIVERED, _DEAD, 1, 30)], True),
        ([constant(_DEAD_LETTERED, _PUSH, 5, 30), constant(_UNDELIVERED, _DEAD, 0, 30)], False),
        ([constant(_UNDELIVERED, _PUSH, 9, 30)], False),
    ],
}
"""By alert: series that only Google writes, and whether it fires."""

ALERTS = {alert["name"]: alert for alert in alerts()}


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Phase]]:
    """Return what the running service sent, in each phase of its life."""
    promtool.program()  # skip before the service is run
    with pytest.MonkeyPatch.context() as patch, serving_cloud() as cloud:
        cloud.otlp.lend_credentials(patch, tmp_path_factory.mktemp("gcloud"))
        yield asyncio.run(record(cloud, patch))


def filled(query: str) -> str:
    """Return a query as Terraform would hand it over."""
    for name, value in NAMES.items():
        query = query.replace(f"${{{name}}}", value)
    return query


def rule(name: str) -> dict[str, Any]:
    """Return an alert as a group of rules."""
    alert = ALERTS[name]
    told = {"alert": name, "expr": filled("\n".join(alert["query"])), "for": alert["duration"]}
    return {"name": name, "interval": alert["evaluation_interval"], "rules": [told]}


def case(name: str, given: list[dict[str, str]], minutes: int, *, fires: bool) -> dict[str, Any]:
    """Return the test that an alert fires, or does not, at the end of given series."""
    firing = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    end = minutes - minutes % 5 - 5  # a time at which each interval has been evaluated
    return {"interval": "1m", "input_series": given, "promql_expr_test": [holds(firing, end, is_so=fires)]}


def test_every_alert_has_its_trouble() -> None:
    """A new alert is tried here."""
    assert set(TROUBLE) | set(BY_HAND) == set(ALERTS)


@pytest.mark.parametrize("name", TROUBLE)
def test_an_alert_fires_in_its_trouble_and_in_nothing_else(phases: dict[str, Phase], tmp_path: Path, name: str) -> None:
    """Over hours that are made of what the service sent."""
    tests = [
        case(name, series(phases, segments), sum(minutes for _, minutes in segments), fires=fires)
        for segments, fires in zip(TROUBLE[name], (True, False), strict=True)
    ]
    assert failures(tmp_path, [rule(name)], tests) == ""


@pytest.mark.parametrize("name", BY_HAND)
def test_an_alert_on_pubsub_fires_and_is_silent(tmp_path: Path, name: str) -> None:
    """Of this system's subscriptions and no other's."""
    tests = [case(name, given, 30, fires=fires) for given, fires in BY_HAND[name]]
    assert failures(tmp_path, [rule(name)], tests) == ""


def test_without_any_series_no_alert_fires(tmp_path: Path) -> None:
    """As after the first apply, when nothing was ever written."""
    silent = [check for name in ALERTS for check in case(name, [], HOUR, fires=False)["promql_expr_test"]]
    tests = [{"interval": "1m", "input_series": [], "promql_expr_test": silent}]
    assert failures(tmp_path, [rule(name) for name in ALERTS], tests) == ""


def test_an_alert_that_is_wrong_is_found(phases: dict[str, Phase], tmp_path: Path) -> None:
    """A threshold that nothing reaches fails this file."""
    broken = rule("processing-latency")
    broken["rules"][0]["expr"] = broken["rules"][0]["expr"].replace("> 5", "> 5000000")
    segments = TROUBLE["processing-latency"][0]
    given = series(phases, segments)
    assert "FAILED" in failures(tmp_path, [broken], [case("processing-latency", given, 30, fires=True)])


def test_every_tile_shows_something(phases: dict[str, Phase], tmp_path: Path) -> None:
    """Each query of the boards has values, over a service that has seen every kind of trouble."""
    lived = [
        (name, 10) for name in ("good", "rejecting", "slow", "failing", "late", "late-canaries", "good", "missing")
    ]
    given = series(phases, lived)
    for metric in FOREIGN:
        for name in ("sluice", "sluice-push", "sluice-dead-letters"):
            labels = dict.fromkeys(metric.labels, name) | {"monitored_resource": metric.resource}
            given.append(growing(metric.name, labels, 60, 90))
    shown = {title: filled(query) for title, query in queries_of_tiles(read())}
    expressions = [filled(query) for _, query in queries_of_tiles(read())]
    checks = [holds(f"max_over_time((({query}) >= 0)[79m:1m])", 79, is_so=True) for query in expressions]
    assert failures(tmp_path, [], [{"interval": "1m", "input_series": given, "promql_expr_test": checks}]) == ""
    assert len(shown) == 23
    assert metrics_of(shown["Pub/Sub messages a second: in and out"]) <= {metric.name for metric in FOREIGN}
