"""`sluice rollout`, with a gcloud of the tests' own that keeps a service's traffic in a file."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sluice.__main__ import main
from tests.answering import answering

GCLOUD = """#!{python}
import json, pathlib, sys
state, log = pathlib.Path({state!r}), pathlib.Path({log!r})
args = sys.argv[1:]
with log.open("a") as lines:
    lines.write(" ".join(args) + "\\n")
service = json.loads(state.read_text())
if args[:2] == ["auth", "print-access-token"]:
    print("ya29.token")
elif args[:3] == ["run", "services", "describe"]:
    print(json.dumps(service))
elif args[:3] == ["run", "services", "update-traffic"]:
    traffic = service["status"]["traffic"]
    options = dict(arg[2:].split("=", 1) for arg in args if arg.startswith("--") and "=" in arg)
    if "remove-tags" in options:
        traffic = [t for t in traffic if t.get("tag") != options["remove-tags"]]
    else:
        wanted = dict(part.split("=") for part in options["to-revisions"].split(","))
        left = 100 - sum(map(int, wanted.values()))
        others = [t for t in traffic if t.get("percent") and t["revisionName"] not in wanted]
        whole = sum(t["percent"] for t in others)
        shares = dict((t["revisionName"], t["percent"] * left // whole) for t in others if left)
        shares.update((name, int(percent)) for name, percent in wanted.items())
        tags = [dict(t, percent=0) for t in traffic if t.get("tag")]
        traffic = [dict(revisionName=name, percent=percent) for name, percent in shares.items()] + tags
    service["status"]["traffic"] = traffic
    state.write_text(json.dumps(service))
else:
    sys.exit("not a command of this gcloud: " + " ".join(args))
"""
PLACE = ("rollout", "--project", "p", "--region", "r", "--service", "s")
READY = (200, "application/json", b'{"status": "ready"}')
SERIES = "/v3/projects/p/timeSeries"
BACK = ["s-3=10", "s-1=70,s-2=30"]


class Cloud(msgspec.Struct):
    """A service on Cloud Run: what its traffic is, and what was asked of gcloud."""

    state: Path
    log: Path

    @property
    def shares(self) -> dict[str, int]:
        traffic = json.loads(self.state.read_text())["status"]["traffic"]
        return {target["revisionName"]: target["percent"] for target in traffic if target.get("percent")}

    @property
    def steps(self) -> list[str]:
        """What the traffic was changed to, in turn."""
        asked = (line.split() for line in self.log.read_text().splitlines())
        return [word.partition("=")[2] for words in asked for word in words if word.startswith("--to-revisions")]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A service of two old revisions that share the traffic, and a new one without; gcloud is on PATH."""
    found = Cloud(tmp_path / "service.json", tmp_path / "log")
    found.log.touch()
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(GCLOUD.format(python=sys.executable, state=str(found.state), log=str(found.log)))
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("sluice.ops.rollout._LOOK_EVERY_S", 0.05)
    return found


@pytest.fixture
def watched(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what says where the new revision answers, and Cloud Monitoring too."""

    def serving(url: str) -> None:
        serve(cloud, url)
        monkeypatch.setattr("sluice.ops.rollout.MONITORING_URL", url)

    return serving


def serve(cloud: Cloud, url: str) -> None:
    """Say where the new revision answers. Since it was tagged, an apply has made another."""
    traffic = [
        {"revisionName": "s-1", "percent": 70},
        {"revisionName": "s-2", "percent": 30},
        {"revisionName": "s-3", "tag": "candidate", "url": url},
    ]
    cloud.state.write_text(json.dumps({"status": {"traffic": traffic, "latestCreatedRevisionName": "s-4"}}))


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


def test_a_good_revision_gets_everything_step_by_step(
    cloud: Cloud, watched: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """10, 50, 100 %, with a look at its readiness and its errors after each."""
    with answering({"/health/ready": READY, SERIES: counted(c2xx=1000, c5xx=2)}) as url:
        watched(url)
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
    watched: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that is not ready gets nothing; with errors, or without a view of them, the traffic is as it was before."""
    with answering(answers) as url:
        watched(url)
        assert main([*PLACE, "--tag", "candidate", "--observe", "0"]) == 1
    assert cloud.steps == steps
    assert cloud.shares == {"s-1": 70, "s-2": 30}
    assert said in capsys.readouterr().err


def test_traffic_that_was_written_down_can_be_restored(
    cloud: Cloud, watched: Callable[[str], None], tmp_path: Path
) -> None:
    """As the workflow does when it is cancelled; the tag goes, and a second time changes nothing."""
    saved = str(tmp_path / "traffic.json")
    serve(cloud, "http://127.0.0.1:1")
    assert main([*PLACE, "--save", saved]) == 0
    with answering({"/health/ready": READY, SERIES: counted()}) as url:
        watched(url)
        assert main([*PLACE, "--tag", "candidate", "--observe", "0"]) == 0
    for _ in range(2):
        assert main([*PLACE, "--restore", saved, "--untag", "candidate"]) == 0
    assert cloud.shares == {"s-1": 70, "s-2": 30}
    assert cloud.steps == ["s-3=10", "s-3=50", "s-3=100", "s-1=70,s-2=30"]
    assert "candidate" not in cloud.state.read_text()
