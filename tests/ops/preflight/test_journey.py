"""The checks that publish, before the local Pub/Sub and a service that it pushes to."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import msgspec
import pytest

from app.record import Record
from app.schema.filters import checked_table
from app.schema.table import rejects_table
from sluice.local.stack_settings import Ready
from sluice.ops.preflight import journey
from sluice.testing.instance import Instance, instance
from sluice.testing.process import ROOT
from tests.ops.preflight.asking import ask
from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import PROJECT, PUSHER, READER, SYSTEM, Project, healthy

BOTH = ("--canary", "--dead-letter", "--only", "canary", "dead-letter")
OWN_TOPICS = ("orders", "payments")
DEAD = f"projects/{PROJECT}/subscriptions/{SYSTEM}-dead-letters"


class Stage(msgspec.Struct):
    """What runs: Pub/Sub with its issuer, and the service."""

    ready: Ready
    service: str

    def project(self) -> Project:
        """Return a healthy project whose service is the one that runs."""
        project = healthy(checked_table(Record), rejects_table())
        project.resources[google.RUN]["uri"] = self.service
        project.make_token = lambda audience: self.token(audience, READER)
        return project

    def token(self, audience: str, email: str) -> str:
        """Return a token of the issuer."""
        answer = httpx.post(f"{self.ready.issuer}/token", json={"audience": audience, "email": email})
        return str(answer.raise_for_status().json()["token"])

    def options(self) -> tuple[str, str]:
        """Return the option that leads to this Pub/Sub."""
        return "--endpoint", f"pubsub.googleapis.com=http://{self.ready.pubsub}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a Pub/Sub with the names that Terraform gives, and a service that accepts its pushes."""
    names = {"project": PROJECT, "topic": SYSTEM, "subscription": f"{SYSTEM}-push", "principal": PUSHER}
    names |= {"dead-letter-topic": f"{SYSTEM}-dead-letters", "audience": google.ENVIRON["SLUICE_PUSH_AUDIENCE"]}
    names |= {"port": "0", "issuer-port": "0"}
    command = [sys.executable, "-m", "sluice", "pubsub", *(f"--{name}={value}" for name, value in names.items())]
    command += [f"--stream={name}" for name in OWN_TOPICS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready = msgspec.json.decode(process.stdout.readline(), type=Ready)
            _keep_dead_letters(ready)
            with _service(tmp_path_factory.mktemp("service"), ready) as running:
                yield _pushed_to(Stage(ready, running.url))
        finally:
            process.terminate()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey, "_PAUSE_S", 0.05)


def _keep_dead_letters(ready: Ready, stream: str = "") -> None:
    topic = f"projects/{PROJECT}/topics/{SYSTEM}-dead-letters{stream}"
    httpx.put(f"http://{ready.pubsub}/v1/{topic}", json={})  # the first streams have theirs
    kept = {"topic": topic, "ackDeadlineSeconds": 600}
    httpx.put(f"http://{ready.pubsub}/v1/{DEAD}{stream}", json=kept).raise_for_status()


def _pushed_to(stage: Stage) -> Stage:
    pushed_to = {"url": f"{stage.service}/pubsub/push"}
    httpx.post(f"{stage.ready.issuer}/push-endpoint", json=pushed_to).raise_for_status()
    return stage


def _service(folder: Path, ready: Ready, streams: str = "") -> AbstractContextManager[Instance]:
    return instance(
        folder,
        push_principals=PUSHER,
        push_audience=google.ENVIRON["SLUICE_PUSH_AUDIENCE"],
        api_principals=READER,
        api_audience=google.ENVIRON["SLUICE_API_AUDIENCE"],
        heartbeat_signature=google.ENVIRON["SLUICE_HEARTBEAT_SIGNATURE"],
        token_issuer=ready.issuer,
        token_keys_url=ready.keys_url,
        streams=streams,
    )


def test_a_canary_and_a_dead_letter_come_to_the_feed(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Both say their times; readers see neither record; somebody else's dead letter stays where it was."""
    other = {"messages": [{"data": "e30=", "attributes": {"kept": "yes"}}]}
    topic = f"http://{stage.ready.pubsub}/v1/projects/{PROJECT}/topics/{SYSTEM}-dead-letters"
    httpx.post(f"{topic}:publish", json=other).raise_for_status()
    status, found = ask(stage.project(), capsys, *stage.options(), *BOTH)
    assert (status, found["canary"][0], found["dead-letter"][0]) == (0, "held", "held"), found
    assert "s after its publication, and readable after" in found["canary"][1]
    reader = {"Authorization": f"Bearer {stage.token(google.ENVIRON['SLUICE_API_AUDIENCE'], READER)}"}
    assert httpx.get(f"{stage.service}/v1/records?since=-PT5M", headers=reader).json()["records"] == []
    dead = f"http://{stage.ready.pubsub}/v1/{DEAD}"
    left = httpx.post(f"{dead}:pull", json={"maxMessages": 10}).json()["receivedMessages"]
    assert [each["message"]["attributes"] for each in left] == [{"kept": "yes"}]
    ids = [each["ackId"] for each in left]
    httpx.post(f"{dead}:acknowledge", json={"ackIds": ids}).raise_for_status()


def test_a_signature_that_the_service_does_not_know_is_found(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who is refused, and a topic that is not there, fail with their cures, too."""
    monkeypatch.setattr(journey, "VISIBLE_WITHIN_S", 5.0)
    project = stage.project()
    project.make_token = lambda audience: stage.token(audience, "stranger@example.com")
    _, found = ask(project, capsys, *stage.options(), "--canary", "--only", "canary")
    assert found["canary"][0] == "failed"
    assert "the API refuses the reader" in found["canary"][1]
    missing = ("--canary", "--only", "canary", "--system", "elsewhere")
    project = stage.project()
    project.resources[google.RUN.replace(f"/{SYSTEM}", "/elsewhere")] = project.service()
    _, found = ask(project, capsys, *stage.options(), *missing)
    assert found["canary"] == (
        "failed",
        f"there is no projects/{PROJECT}/topics/elsewhere. Cure: `terraform apply`",
    )


def test_what_is_not_pushed_is_not_readable_in_time(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canary waits in a topic without a subscription."""
    monkeypatch.setattr(journey, "VISIBLE_WITHIN_S", 1.0)
    project = stage.project()
    httpx.put(f"http://{stage.ready.pubsub}/v1/projects/{PROJECT}/topics/silent", json={}).raise_for_status()
    project.resources[google.RUN.replace(f"/{SYSTEM}", "/silent")] = project.service()
    _, found = ask(project, capsys, *stage.options(), "--canary", "--only", "canary", "--system", "silent")
    assert found["canary"][0] == "failed"
    assert "is not readable after 1 s" in found["canary"][1]


def test_dead_letters_that_nobody_keeps_are_found(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic of dead letters without its subscription loses them."""
    monkeypatch.setattr(journey, "_PULL_WITHIN_S", 1.0)
    project = stage.project()
    httpx.put(f"http://{stage.ready.pubsub}/v1/projects/{PROJECT}/topics/bare-dead-letters", json={}).raise_for_status()
    project.resources[google.RUN.replace(f"/{SYSTEM}", "/bare")] = project.service()
    _, found = ask(project, capsys, *stage.options(), "--dead-letter", "--only", "dead-letter", "--system", "bare")
    assert found["dead-letter"][0] == "failed"
    assert "there is no projects/" in found["dead-letter"][1]


def test_a_service_without_canaries_is_not_looked_at(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """`heartbeat = null` leaves the service without a signature."""
    project = stage.project()
    project.environ["SLUICE_HEARTBEAT_SIGNATURE"] = ""
    _, found = ask(project, capsys, *stage.options(), *BOTH)
    assert {kind for kind, _ in found.values()} == {"not looked at"}


def test_the_canary_of_each_stream_comes_by_its_own_way(
    stage: Stage, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two have topics of their own; the third shares one, and its subscription is declared."""
    declared = "tests.ops.preflight.market_by_subscription:STREAMS"
    for stream in (*OWN_TOPICS, "visits"):
        _keep_dead_letters(stage.ready, f".{stream}")
    with _service(tmp_path, stage.ready, streams=declared) as running:
        several = _pushed_to(Stage(stage.ready, running.url))
        project = several.project()
        del project.environ["SLUICE_RECORD"]
        project.environ["SLUICE_STREAMS"] = declared
        try:
            status, found = ask(project, capsys, *several.options(), *BOTH)
        finally:
            _pushed_to(stage)
    assert (status, found["canary"][0], found["dead-letter"][0]) == (0, "held", "held"), found
    assert found["canary"][1].startswith("in all 3 streams, such as orders: a canary was stored")
