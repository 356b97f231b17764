"""The checks that publish, for several streams: each canary comes by the way of its stream, or its trouble is named."""

from collections.abc import Callable
from typing import Any

import pytest

from app.streams import DeclaredStream, make_streams
from sluice.ops.preflight import journey
from sluice.ops.preflight.__main__ import BAD, GOOD, main
from sluice.ops.preflight.canaries import own_attributes
from tests.ops.preflight.asking import findings
from tests.ops.preflight.broken_streams import BROKEN_DEAD_LETTERS, BROKEN_JOURNEYS, share_a_topic
from tests.ops.preflight.test_streams import with_streams
from tests.streams.market import STREAMS
from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import PROJECT, READER, REGION, Project
from tests.support.google_cloud.pubsub import Journeys
from tests.support.google_cloud.server import serving

BOTH = {"canary", "dead-letter"}
MARKET = make_streams(STREAMS, default_retention_days=1).by_name


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double stores at once, so what has not come will not come."""
    for name in ("_PAUSE_S", "VISIBLE_WITHIN_S"):
        monkeypatch.setattr(journey, name, 0.0)
    monkeypatch.setattr(journey, "_PULL_WITHIN_S", 0.01)


def follow(project: Project, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, tuple[str, str]], Journeys]:
    """Return the exit status and the findings of both journeys, and what answered."""
    journeys = Journeys(project)
    project.journeys = journeys.reply
    with serving(project) as url:
        project.resources[google.RUN]["uri"] = f"{url}/service"
        names = ("--project", PROJECT, "--region", REGION, "--reader", READER, "--endpoint", f"*={url}")
        status = main([*names, "--canary", "--dead-letter", "--only", *BOTH])
    return status, findings(capsys.readouterr().out), journeys


def shared() -> Project:
    """Return a healthy project whose streams share a topic."""
    project = with_streams()
    share_a_topic(project)
    return project


def test_the_canaries_of_a_shared_topic_come_to_their_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """So do the replays of dead letters, and none of these is left."""
    status, found, journeys = follow(shared(), capsys)
    assert (status, {name: kind for name, (kind, _) in found.items()}) == (GOOD, dict.fromkeys(BOTH, "held")), found
    assert found["canary"][1].startswith("in all 3 streams, such as orders: a canary was stored")
    assert journeys.unacknowledged() == 0


@pytest.mark.parametrize(
    ("broken", "failing", "kind", "said"),
    [
        *(pytest.param(b, BOTH, k, s, id=i) for i, b, k, s in BROKEN_JOURNEYS),
        *(pytest.param(b, {"dead-letter"}, k, s, id=i) for i, b, k, s in BROKEN_DEAD_LETTERS),
    ],
)
def test_the_stream_whose_messages_do_not_arrive_is_named(
    capsys: pytest.CaptureFixture[str], broken: Callable[[Project], Any], failing: set[str], kind: str, said: str
) -> None:
    """No other stream is, and the text says where to look."""
    project = shared()
    broken(project)
    status, found, _ = follow(project, capsys)
    assert status == (BAD if kind == "failed" else GOOD)
    assert {name: each for name, (each, _) in found.items()} == {
        name: kind if name in failing else "held" for name in BOTH
    }, found
    for name in failing:
        assert found[name][1].startswith("stream payments: ")
        assert said in found[name][1]
        assert "stream orders" not in found[name][1]


def test_without_their_module_no_journey_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    """A canary of an unknown type would be a reject."""
    project = shared()
    project.environ["SLUICE_STREAMS"] = "nowhere.streams:STREAMS"
    _, found, _ = follow(project, capsys)
    assert {name: kind for name, (kind, _) in found.items()} == dict.fromkeys(BOTH, "not looked at")


PAYMENT = {"ce-type": "payment.made"}


@pytest.mark.parametrize(
    ("stream", "passed", "expected"),
    [
        (DeclaredStream(name="plain", table=MARKET["visits"].table), "", {"stream": "plain"}),
        (MARKET["orders"], "", {"stream": "orders"}),
        (MARKET["visits"], "attributes:page", {"page": "1"}),
        (MARKET["payments"], "", PAYMENT),
        (MARKET["payments"], 'attributes.ce-type = "payment.returned"', {"ce-type": "payment.returned"}),
        (MARKET["payments"], 'attributes.ce-type="refund"', PAYMENT),
        (
            MARKET["payments"],
            'attributes."iana.org/tag" = "en" AND attributes:x',
            PAYMENT | {"iana.org/tag": "en", "x": "1"},
        ),
        (MARKET["payments"], 'hasPrefix(attributes.domain, "co") AND NOT attributes:y', PAYMENT | {"domain": "co"}),
        (MARKET["payments"], 'attributes.a = "1" OR attributes.b = "2"', PAYMENT | {"a": "1"}),
        (MARKET["payments"], '-attributes:"y" AND attributes.z != "2"', PAYMENT),
    ],
)
def test_a_canary_has_the_attributes_of_its_streams_messages(
    stream: DeclaredStream, passed: str, expected: dict[str, str]
) -> None:
    """Those that are declared, with the value that passes the filter if it is one of them; and those of the filter."""
    assert own_attributes(stream, passed) == expected
