"""With several streams, checks of subscriptions and accounts look at all of them, and name the one that is wrong."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from app.schema.table import rejects_table
from app.streams import make_streams
from sluice.ops.preflight.__main__ import BAD, GOOD
from sluice.ops.preflight.catalogue import CHECKS
from tests.ops.preflight.asking import OFFLINE, ask
from tests.streams.market import STREAMS
from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import Project, healthy

ONLINE = [check.name for check in CHECKS if check.name not in OFFLINE]
EACH = [check.name for check in CHECKS if check.needs == "streams" and check.name not in OFFLINE]


def with_streams() -> Project:
    """Return a healthy project with a table, a subscription and dead letters for each stream."""
    streams = make_streams(STREAMS, default_retention_days=google.RETENTION_DAYS)
    project = healthy(*streams.tables, rejects_table())
    del project.environ["SLUICE_RECORD"]
    project.environ["SLUICE_STREAMS"] = "tests.streams.market:STREAMS"
    single = project.resources.pop(google.SUBSCRIPTION)
    for name in streams.by_name:
        found = deepcopy(single)
        found["topic"] += f".{name}"
        found["deadLetterPolicy"]["deadLetterTopic"] += f".{name}"
        found["pushConfig"]["pushEndpoint"] += f"/{name}"
        project.resources[f"{google.SUBSCRIPTION}.{name}"] = found
        for policy in (google.SUBSCRIPTION, google.DEAD_TOPIC):
            project.resources[f"{policy}.{name}:getIamPolicy"] = project.resources[f"{policy}:getIamPolicy"]
    return project


def test_everything_holds_for_every_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """Each check is one line, whatever the number of streams."""
    status, found = ask(with_streams(), capsys, "--strict", "--only", *ONLINE)
    assert (status, {name: kind for name, (kind, _) in found.items()}) == (GOOD, dict.fromkeys(ONLINE, "held"))
    assert {name for name, (_, text) in found.items() if text.startswith("in all 3 streams, such as orders: ")} == {
        *EACH
    }


def test_streams_may_share_a_topic(capsys: pytest.CaptureFixture[str]) -> None:
    """Then each has a filter, which is no fault."""
    project = with_streams()
    shared = project.resources[f"{google.SUBSCRIPTION}.visits"]
    shared |= {"topic": "projects/web/topics/events", "filter": 'attributes.stream = "visits"'}
    assert ask(project, capsys, "--only", "subscription", "subscription-push")[0] == GOOD


def _other_path(project: Project) -> None:
    push = project.resources[f"{google.SUBSCRIPTION}.payments"]["pushConfig"]
    push["pushEndpoint"] = push["pushEndpoint"].removesuffix("/payments")


def _lost(path: str) -> Callable[[Project], Any]:
    return lambda project: project.resources.pop(path)


def _unbound(path: str) -> Callable[[Project], Any]:
    return lambda project: project.resources.update({path: {"bindings": []}})


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("subscription", _lost(f"{google.SUBSCRIPTION}.payments")),
        (
            "subscription",
            lambda project: project.resources[f"{google.SUBSCRIPTION}.payments"].update(topic="_deleted-topic_"),
        ),
        ("subscription-push", _other_path),
        ("pubsub-account", _unbound(f"{google.DEAD_TOPIC}.payments:getIamPolicy")),
        ("service-account", _unbound(f"{google.DATASET}/tables/payments:getIamPolicy")),
    ],
)
def test_a_stream_that_is_broken_is_named(
    capsys: pytest.CaptureFixture[str], name: str, broken: Callable[[Project], Any]
) -> None:
    """The check fails for that stream alone."""
    project = with_streams()
    broken(project)
    status, found = ask(project, capsys, "--only", name)
    assert (status, found[name][0]) == (BAD, "failed")
    assert found[name][1].startswith("stream payments: ")
    assert "stream orders" not in found[name][1]


def test_without_their_module_no_stream_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """The names of the streams are in the module; what does not need them is checked."""
    project = with_streams()
    project.environ["SLUICE_STREAMS"] = "nowhere.streams:STREAMS"
    _, found = ask(project, capsys, "--only", "settings", *EACH)
    assert {name for name, (kind, _) in found.items() if kind == "not looked at"} == {*EACH}
    assert "cannot be loaded here" in found["subscription"][1]
