"""`sluice rollout`, with a gcloud of the tests' own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sluice.__main__ import main
from sluice.ops.rollout import CloudRun
from tests.answering import answering

PLACE = ("rollout", "--project", "p", "--region", "r", "--service", "s")
READY = (200, "application/json", b'{"status": "ready"}')
SERIES = "/v3/projects/p/timeSeries"
BACK = ["s-3=10", "s-1=70,s-2=30"]


class Cloud:
    """A service on Cloud Run: two old revisions that share the traffic, and a new one without, where `url` answers.

    Since that one was tagged, an apply has made another.
    """

    def __init__(self) -> None:
        self.url = "http://127.0.0.1:1"
        self.shares = {"s-1": 70, "s-2": 30}
        self.tags = {"candidate": "s-3"}
        self.steps: list[str] = []
        """What the traffic was changed to, in turn."""

    def gcloud(self, *arguments: str) -> str:
        """Do what gcloud does."""
        options = dict(each[2:].split("=", 1) for each in arguments if each.startswith("--") and "=" in each)
        match arguments[:3]:
            case ("auth", "print-access-token", _):
                return "ya29.token"
            case ("run", "services", "describe"):
                traffic: list[dict[str, Any]] = [{"revisionName": n, "percent": p} for n, p in self.shares.items()]
                traffic += [{"revisionName": name, "tag": tag, "url": self.url} for tag, name in self.tags.items()]
                return json.dumps({"status": {"traffic": traffic, "latestCreatedRevisionName": "s-4"}})
            case ("run", "services", "update-traffic") if "remove-tags" in options:
                del self.tags[options["remove-tags"]]
            case ("run", "services", "update-traffic"):
                self.steps.append(options["to-revisions"])
                given = {
                    name: int(percent) for name, percent in (each.split("=") for each in self.steps[-1].split(","))
                }
                left = 100 - sum(given.values())
                others = {name: percent for name, percent in self.shares.items() if left and name not in given}
                self.shares = given | {name: n * left // sum(others.values()) for name, n in others.items()}
            case _:
                raise AssertionError(arguments)
        return ""


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A Cloud Run of the test's own."""
    found = Cloud()
    monkeypatch.setattr("shutil.which", lambda _: "gcloud")
    monkeypatch.setattr(CloudRun, "_run", lambda _, *arguments: found.gcloud(*arguments))
    monkeypatch.setattr("sluice.ops.rollout._LOOK_EVERY_S", 0.05)
    return found


@contextmanager
def watched(cloud: Cloud, answers: dict[str, tuple[int, str, bytes]]) -> Iterator[None]:
    """Answer as the new revision, and as Cloud Monitoring."""
    with answering(answers) as cloud.url, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.ops.rollout.MONITORING_URL", cloud.url)
        yield


def counted(**classes: int) -> tuple[int, str, bytes]:
    """Return what Cloud Monitoring says of a revision's answers, by class (`c5xx=3`), over two points each."""
    series: list[dict[str, Any]] = [
        {
            "metric": {"labels": {"response_code_class": name.removeprefix("c")}},
            "points": [{"value": {"int64Value": str(count - 1)}}, {"value": {"int64Value": "1"}}],
        }
        for name, count in classes.items()
    ]
    return 200, "application/json", json.dumps({"timeSeries": series}).encode()


def test_a_good_revision_gets_everything_step_by_step(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """10, 50, 100 %, with a look at its readiness and its errors after each."""
    with watched(cloud, {"/health/ready": READY, SERIES: counted(c2xx=1000, c5xx=2)}):
        assert main([*PLACE, "--tag", "candidate", "--observe", "0.1"]) == 0
    assert cloud.steps == ["s-3=10", "s-3=50", "s-3=100"]
    assert cloud.shares == {"s-3": 100}
    said = capsys.readouterr().out
    assert said.count("2 of 1002 responses were 5xx\n") == 3
    assert "s-3 has all the traffic" in said


@pytest.mark.parametrize(
    ("answers", "steps", "said"),
    [
        (
            {"/health/ready": (503, "application/json", b'{"status": "draining"}')},
            [],
            "not ready: the instance is draining",
        ),
        ({"/health/ready": READY, SERIES: (403, "application/json", b"{}")}, BACK, "the role roles/monitoring.viewer"),
        (
            {"/health/ready": READY, SERIES: counted(c2xx=90, c5xx=10)},
            BACK,
            "s-3, at 10 %, answered 10 of 100 requests with 5xx; the allowed fraction is 1%",
        ),
    ],
)
def test_a_revision_that_is_not_seen_to_be_good_gets_nothing(
    *,
    answers: dict[str, tuple[int, str, bytes]],
    steps: list[str],
    said: str,
    cloud: Cloud,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that is not ready gets nothing; with errors, or without a view of them, the traffic is as it was before."""
    with watched(cloud, answers):
        assert main([*PLACE, "--tag", "candidate", "--observe", "0"]) == 1
    assert cloud.steps == steps
    assert cloud.shares == {"s-1": 70, "s-2": 30}
    assert said in capsys.readouterr().err


def test_traffic_that_was_written_down_can_be_restored(cloud: Cloud, tmp_path: Path) -> None:
    """As the workflow does when it is cancelled; the tag goes, and a second time changes nothing."""
    saved = str(tmp_path / "traffic.json")
    assert main([*PLACE, "--save", saved]) == 0
    with watched(cloud, {"/health/ready": READY, SERIES: counted()}):
        assert main([*PLACE, "--tag", "candidate", "--observe", "0"]) == 0
    for _ in range(2):
        assert main([*PLACE, "--restore", saved, "--untag", "candidate"]) == 0
    assert cloud.shares == {"s-1": 70, "s-2": 30}
    assert cloud.steps == ["s-3=10", "s-3=50", "s-3=100", "s-1=70,s-2=30"]
    assert cloud.tags == {}
