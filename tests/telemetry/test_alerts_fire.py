"""Every alert fires when it should and is silent when it should not; every tile shows something.

The queries are evaluated by Prometheus's own engine over series of the service's own metrics. Series of Pub/Sub and
Cloud Run, which only Google writes, are made by hand, with the labels of their documentation.
"""

import re
from pathlib import Path
from typing import Any

from tests.telemetry.monitoring import alerts, queries_of_tiles
from tests.telemetry.scenarios import record
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

HOUR, DAY = 60, 24 * 60


def part(name: str, of: int, minutes: int) -> Segments:
    """Return good minutes, one of `of` of which is a phase."""
    return [(name, 1), ("good", of - 1)] * (minutes // of)


# By alert: troubles in which it fires, and what it is silent in. Each ends with the minutes that matter.
TROUBLE: dict[str, tuple[list[Segments], list[Segments]]] = {
    "stored-in-time": (
        [[("good", HOUR), ("late", 65)], part("late", 10, 7 * HOUR)],
        [[("good", 2 * HOUR)], [("late", 20), ("good", 7 * HOUR)], part("late", 50, 7 * HOUR)],
    ),
    "stored-in-time-budget": ([part("late", 50, DAY)], [[("late", 7 * HOUR)], [("good", DAY)]]),
    "api-available": (
        [[("good", HOUR), ("failing", 65)], part("failing", 20, 7 * HOUR)],
        [[("good", 2 * HOUR)], [("failing", 20), ("good", 7 * HOUR)], part("failing", 200, 10 * HOUR)],
    ),
    "api-available-budget": ([part("failing", 200, DAY)], [[("failing", 7 * HOUR)], [("good", DAY)]]),
    "visible-in-time": (
        [[("good", HOUR), *part("unseen", 2, 64)], part("unseen", 10, 7 * HOUR)],
        [[("good", 2 * HOUR)], part("unseen", 50, 7 * HOUR), [("good", HOUR), ("late-canaries", 65)]],
    ),
    "visible-in-time-budget": ([part("unseen", 50, DAY)], [[("unseen", 7 * HOUR)], [("good", DAY)]]),
    "stored-not-rejected": (
        [[("good", 20 * HOUR), ("rejecting", 2 * HOUR)], part("rejecting", 30, DAY)],
        [[("good", DAY)], [("rejecting", 2 * HOUR), ("good", 7 * HOUR)]],
    ),
    "api-in-time": ([part("slow", 10, DAY)], [[("good", DAY)], [("slow", 5 * HOUR), ("good", 7 * HOUR)]]),
    "queries-in-time": ([part("slow", 10, DAY)], [[("good", DAY)], [("slow", 5 * HOUR), ("good", 7 * HOUR)]]),
    "fixed-limits": (
        [[("good", 20), ("late", 10)], [("good", 20), ("slow", 15)], [("good", 20), ("failing", 20)]],
        [[("good", 30)]],
    ),
    "volume": (
        [[("good", DAY + HOUR), ("idle", 3 * HOUR)]],
        [[("good", DAY + 4 * HOUR)], [("good", DAY + HOUR), ("unreachable", 3 * HOUR)]],
    ),
    "query-bytes": ([[("good", HOUR), ("expensive", HOUR)]], [[("good", 2 * HOUR)]]),
    "sink-setup": ([[("good", 20), ("missing", 10)]], [[("good", 20), ("unreachable", 10)]]),
    "sink-trouble": (
        [[("good", 20), ("unreachable", 20)], [("good", 20), ("lacking", 20)]],
        [[("good", 20), ("missing", 20)], [("good", 20), ("unreachable", 10)]],
    ),
    "heartbeat-absent": (
        [[("good", HOUR), ("idle", 20)]],
        [[("idle", HOUR), ("good", 30)], [("good", HOUR), ("unreachable", 20)]],
    ),
}
_PUSH = {"monitored_resource": "pubsub_subscription", "project_id": "p", "subscription_id": "sluice-push"}
_DEAD = _PUSH | {"subscription_id": "sluice-dead-letters"}
_STREAM, _PAUSED = (_PUSH | {"subscription_id": f"sluice-push.{name}"} for name in ("payments", "visits"))
_OTHER = _PUSH | {"subscription_id": "other-push"}
_SUBSCRIPTION = "pubsub_googleapis_com:subscription"
_AGE = f"{_SUBSCRIPTION}_oldest_unacked_message_age"
_ACKED = f"{_SUBSCRIPTION}_ack_message_count"
_DEAD_LETTERED = f"{_SUBSCRIPTION}_dead_letter_message_count"
_UNDELIVERED = f"{_SUBSCRIPTION}_num_undelivered_messages"


def waiting(labels: dict[str, str], age_s: int, count: int, acked_a_minute: int = 0) -> list[dict[str, str]]:
    """Return what Google writes of a subscription: the oldest message's age, how many wait, and how fast they go."""
    given = [constant(_AGE, labels, age_s, 30), constant(_UNDELIVERED, labels, count, 30)]
    return [*given, growing(_ACKED, labels, acked_a_minute, 30)] if acked_a_minute else given


def lag(instance: str, reader: str, seconds: int) -> dict[str, str]:
    """Return the series of a named reader at an instance."""
    labels = {"namespace": "sluice", "instance": instance, "table": "records", "reader": reader}
    return constant("sluice_reader_lag_seconds", labels, seconds, 30)


BY_HAND: dict[str, list[tuple[list[dict[str, str]], bool]]] = {
    "backlog": [
        (waiting(_PUSH, 121, 50), True),
        (waiting(_PUSH, 119, 50), False),
        (waiting(_PUSH, 700, 9_000, 1_000), True),
        # One message in its back-off: of an idle system, and among many that pass.
        (waiting(_PUSH, 700, 1), False),
        (waiting(_PUSH, 700, 400, 1_000), False),
        (waiting(_PUSH, 3_700, 1, 1_000), True),
        (waiting(_OTHER, 9_000, 50), False),
        (waiting(_STREAM, 121, 50), True),
        (waiting(_PAUSED, 9_000, 50), False),
        (waiting(_PAUSED, 9_000, 50) + waiting(_STREAM, 121, 50), True),
    ],
    "dead-letters": [
        ([growing(_DEAD_LETTERED, _PUSH, 1, 30)], True),
        ([constant(_UNDELIVERED, _DEAD, 1, 30)], True),
        ([constant(_DEAD_LETTERED, _PUSH, 5, 30), constant(_UNDELIVERED, _DEAD, 0, 30)], False),
        ([constant(_UNDELIVERED, _PUSH, 9, 30)], False),
    ],
    "reader-behind": [
        ([lag("a", "billing", 3_601)], True),
        ([lag("a", "billing", 3_599), lag("a", "search", 5)], False),
        # The reader has moved from one instance to another.
        ([lag("a", "billing", 90_000), lag("b", "billing", 5)], False),
        ([lag("a", "billing", 90_000), lag("b", "search", 5)], True),
    ],
}
"""By alert: series that only Google writes or only readers cause, and whether it fires."""

ALERTS, PHASES = alerts(), record()


def filled(query: str) -> str:
    """Return a query as Terraform would hand it over."""
    for name, value in NAMES.items():
        query = query.replace(f"${{{name}}}", value)
    return query


def rule(name: str) -> dict[str, Any]:
    """Return an alert as a group of rules."""
    alert = ALERTS[name]
    told = {"alert": name, "expr": filled(alert["expr"]), "for": alert.get("for", "0s")}
    return {"name": name, "interval": alert["interval"], "rules": [told]}


def case(name: str, given: list[dict[str, str]], minutes: int, *, fires: bool) -> dict[str, Any]:
    """Return the test that an alert fires, or does not, at the end of given series."""
    firing = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    end = minutes - minutes % 5 - 5  # a time at which each interval has been evaluated
    return {"interval": "1m", "input_series": given, "promql_expr_test": [holds(firing, end, is_so=fires)]}


def test_every_alert_has_its_trouble() -> None:
    """A new alert is tried here."""
    assert set(TROUBLE) | set(BY_HAND) == set(ALERTS)


def test_each_alert_fires_in_its_trouble_and_in_nothing_else(tmp_path: Path) -> None:
    """Over hours that are made of what the service sent; on Pub/Sub, of this system's subscriptions and no other's."""
    lived = {
        name: [
            case(name, series(PHASES, segments), sum(minutes for _, minutes in segments), fires=fires)
            for each, fires in zip(troubles, (True, False), strict=True)
            for segments in each
        ]
        for name, troubles in TROUBLE.items()
    }
    by_hand = {name: [case(name, given, 30, fires=fires) for given, fires in cases] for name, cases in BY_HAND.items()}
    assert failures(tmp_path, *(([rule(name)], tests) for name, tests in (lived | by_hand).items())) == ""


def test_without_any_series_no_alert_fires(tmp_path: Path) -> None:
    """As after the first apply, when nothing was ever written."""
    silent = [check for name in ALERTS for check in case(name, [], HOUR, fires=False)["promql_expr_test"]]
    tests = [{"interval": "1m", "input_series": [], "promql_expr_test": silent}]
    assert failures(tmp_path, ([rule(name) for name in ALERTS], tests)) == ""


def test_an_outage_of_the_store_is_a_handful_of_incidents(tmp_path: Path) -> None:
    """An hour without BigQuery, and the hours after it: each alert that fires does so once, and these are all."""
    outage, draining, after = HOUR, 20, 9 * HOUR
    lived = [("good", DAY), ("outage", outage), ("draining", draining), ("good", after)]
    end = sum(minutes for _, minutes in lived) - 1
    given = series(PHASES, lived)
    name = '{monitored_resource="pubsub_subscription", subscription_id="sluice-push"}'
    given += [
        {"series": f"{_AGE}{name}", "values": f"1x{DAY - 1} 0+60x{outage - 1} {60 * outage}x{draining - 1} 1x{after}"},
        {"series": f"{_UNDELIVERED}{name}", "values": f"1x{DAY - 1} 0+33x{outage - 1} 999x{draining - 1} 1x{after}"},
        {"series": f"{_ACKED}{name}", "values": f"0+33x{DAY - 1} {33 * DAY}x{outage - 1} {33 * DAY}+99x{draining}"},
    ]
    fired = {"backlog", "sink-trouble", "api-available", "stored-in-time", "fixed-limits"}
    expr = f'count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{end - DAY}m]))'
    expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in fired]
    check = {"expr": expr, "eval_time": f"{end}m", "exp_samples": expected}
    tests = [{"interval": "1m", "input_series": given, "promql_expr_test": [check]}]
    assert failures(tmp_path, (sorted(map(rule, ALERTS), key=lambda group: group["interval"] != "300s"), tests)) == ""


def test_every_tile_shows_something(tmp_path: Path) -> None:
    """Each query of the boards has values, over a service that has seen every kind of trouble."""
    lived = [
        (name, 10) for name in ("good", "rejecting", "slow", "failing", "late", "late-canaries", "good", "missing")
    ]
    given = series(PHASES, lived)
    foreign = {
        found
        for _, query in queries_of_tiles()
        for found in re.findall(r'(\w+_googleapis_com:\w+){monitored_resource="(\w+)"', query)
    }
    for metric, resource in sorted(foreign):
        for name in ("sluice", "sluice-push", "sluice-dead-letters"):
            ids = dict.fromkeys(("project_id", "topic_id", "subscription_id", "service_name"), name)
            given.append(growing(metric, ids | {"monitored_resource": resource}, 60, 90))
    expressions = [filled(query) for _, query in queries_of_tiles()]
    checks = [holds(f"max_over_time((({query}) >= 0)[79m:1m])", 79, is_so=True) for query in expressions]
    assert failures(tmp_path, ([], [{"interval": "1m", "input_series": given, "promql_expr_test": checks}])) == ""
    assert len({title for title, _ in queries_of_tiles()}) == 23
