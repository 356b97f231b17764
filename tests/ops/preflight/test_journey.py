"""A canary's journey, before the local Pub/Sub and a service that it pushes to."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from sluice.local.stack_settings import Ready, StackSettings
from sluice.ops.preflight.checks import PUBSUB, run_checks
from sluice.ops.preflight.deployment import read_deployment
from sluice.ops.preflight.finding import line
from sluice.ops.preflight.google import RestClient
from sluice.ops.preflight.journey import follow_canary
from sluice.testing.instance import instance
from sluice.testing.process import ROOT
from tests.ops.preflight import project as google
from tests.ops.preflight.project import PROJECT, READER, SERVICE, SYSTEM, Project, healthy

TOKEN = f"iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{READER}:generateIdToken"
_SERVE = """
import asyncio, sys, msgspec
from sluice.local.stack import running
from sluice.local.stack_settings import StackSettings

async def serve():
    async with running(msgspec.json.decode(sys.argv[1], type=StackSettings)) as ready:
        print(msgspec.json.encode(ready).decode(), flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    """Run a Pub/Sub with the names that Terraform gives, and its issuer."""
    settings = StackSettings(
        port=0,
        issuer_port=0,
        project=PROJECT,
        topic=SYSTEM,
        subscription=f"{SYSTEM}-push",
        dead_letter_topic=f"{SYSTEM}-dead-letters",
        streams=("payments",),
    )
    command = [sys.executable, "-c", _SERVE, msgspec.json.encode(settings).decode()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield msgspec.json.decode(process.stdout.readline(), type=Ready)
        finally:
            process.terminate()


@contextmanager
def running(folder: Path, ready: Ready, stream: str = "") -> Iterator[Project]:
    """Yield a project whose service runs, and gets the pushes."""
    with instance(
        folder,
        push_principals=ready.principal,
        push_audience=ready.audience,
        api_principals=READER,
        api_audience=google.API_AUDIENCE,
        heartbeat_signature=google.SIGNATURE,
        token_issuer=ready.issuer,
        token_keys_url=ready.keys_url,
        streams="tests.streams.market:STREAMS" if stream else "",
    ) as service:
        project = healthy(stream)
        endpoint = {"pushEndpoint": f"{service.url}{project.names.push_path}"}
        change = f"{ready.issuer}/v1/{project.names.subscription}:modifyPushConfig"
        httpx.post(change, json={"pushConfig": endpoint}).raise_for_status()
        project.pubsub = RestClient(PROJECT, {PUBSUB: ready.issuer})
        project.resources[SERVICE]["uri"] = service.url
        project.resources[TOKEN] = {"token": token(ready, READER)}
        del project.resources[project.subscription]
        yield project


def token(ready: Ready, email: str) -> str:
    """Return a token of the issuer."""
    answer = httpx.post(f"{ready.issuer}/token", json={"audience": google.API_AUDIENCE, "email": email})
    return str(answer.raise_for_status().json()["token"])


def follow(project: Project, within_s: float = 60.0) -> str:
    """Return the line of the check."""
    checks = {"canary": follow_canary(READER, within_s)}
    ((name, finding),) = run_checks(read_deployment(project.names, project), project, checks)
    return line(name, finding)


@pytest.mark.parametrize("stream", ["", "payments"])
def test_a_canary_comes_to_the_feed(tmp_path: Path, ready: Ready, stream: str) -> None:
    """Of a single type, and of a stream with a topic of its own; readers do not see it."""
    with running(tmp_path, ready, stream) as project:
        said = follow(project)
        assert said.startswith("held         canary: readable "), said
        reader = {"Authorization": f"Bearer {token(ready, READER)}"}
        feed = project.resources[SERVICE]["uri"] + project.names.api_path + "/records"
        assert httpx.get(feed, params={"since": "-PT5M"}, headers=reader).raise_for_status().json()["records"] == []


def test_a_canary_that_does_not_arrive_says_where_it_stopped(tmp_path: Path, ready: Ready) -> None:
    """At a reader whom the service refuses, at a topic that does not exist, and at one that nobody pushes."""
    with running(tmp_path, ready) as project:
        project.resources[TOKEN] = {"token": token(ready, "stranger@example.com")}
        assert "failed       canary: schema: GET /v1/schema was answered 403" in follow(project)
        project.resources[TOKEN] = {"token": token(ready, READER)}
        subscription = {"pushConfig": {"pushEndpoint": "…"}, "topic": f"projects/{PROJECT}/topics/silent"}
        project.resources[project.subscription] = subscription
        assert f"failed       canary: send: there is no {subscription['topic']}" in follow(project)
        httpx.put(f"{ready.issuer}/v1/{subscription['topic']}", json={}).raise_for_status()
        assert "canary: feed: the record was accepted but did not appear in the feed within 1 s" in follow(project, 1.0)


def test_a_canary_that_would_not_arrive_is_not_published() -> None:
    """The reason is that of the deployment: its filter, its pushes, its setting; or a reader that is not yours."""
    project = healthy()
    assert f"not checked  canary: there is no account {READER}" in follow(project)
    project.resources[project.subscription]["filter"] = 'attributes.kind = "order"'
    assert 'not checked  canary: a canary may not pass the filter of the subscription: attributes.kind = "order"' in (
        follow(project)
    )
    project.resources[project.subscription]["pushConfig"] = {}
    assert "not checked  canary: nothing is pushed" in follow(project)
    project.environ["SLUICE_HEARTBEAT_SIGNATURE"] = ""
    assert "not checked  canary: the service accepts no canaries" in follow(project)
