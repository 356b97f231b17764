"""`python -m dev smoke`, against real processes: services that work, and services that do not."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dev.__main__ import main
from tests import tokens
from tests.answering import answering
from tests.process import ROOT, free_port, serving

READER = "reader@project.iam.gserviceaccount.com"
OPEN = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
GUARDED = {"api_principals": READER}


class Ended(msgspec.Struct):
    """How a run ended, and what it printed."""

    status: int
    out: str
    said: str

    @property
    def report(self) -> Any:
        """What `--json` printed."""
        return msgspec.json.decode(self.out)

    def step(self, name: str) -> str:
        """Return what a step that failed said."""
        (step,) = (step for step in self.report["steps"] if step["name"] == name)
        assert not step["passed"]
        return str(step["said"])


async def smoke(*arguments: str, **environment: str) -> Ended:
    """Run the command as a person does, with nothing in the environment but what is given."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dev", "smoke", *arguments),
        cwd=ROOT,
        env=OPEN | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), said.decode())


READY = {"status": "ready", "system": "s", "version": "1", "store": {"kind": "bigquery", "reads": None}, "sinks": {}}
SCHEMA = {"tables": [{"path": "/v1/records", "id": "id", "columns": [], "schema_version": "v"}]}
ONE = {"examples": {"one": {"value": {"id": "x"}}}, "schema": {"properties": {"id": {"type": "string"}}}}
OPENAPI = {
    "paths": {"/v1/records": {"post": {"requestBody": {"content": {"application/json": ONE}}}}},
    "components": {"schemas": {}},
}
WINDOW = {"since": "2026-01-31T12:00:00Z", "until": "2026-01-31T12:01:00Z"}
PAGE: dict[str, Any] = {"records": [], "next_cursor": None, "resume_cursor": "c", "window": WINDOW, "poll_after": 0.2}
STORED = {"records": [{"index": 0, "status": "stored", "delivery_key": "http:k:0", "id": "x"}]}


def double(**changed: tuple[int, Any]) -> dict[str, tuple[int, str, bytes]]:
    """Return the answers of a service that takes a record and never shows it, with some changed (`feed=(503, {})`)."""
    answers: dict[str, tuple[int, Any]] = {
        "ready": (200, READY),
        "schema": (200, SCHEMA),
        "openapi": (200, OPENAPI),
        "feed": (200, PAGE),
        "post": (201, STORED),
        "rejects": (200, PAGE),
    }
    paths = {
        "ready": "/health/ready",
        "schema": "/v1/schema",
        "openapi": "/openapi/openapi.json",
        "feed": "/v1/records",
        "post": "POST /v1/records",
        "rejects": "/v1/rejects",
    }
    return {
        paths[name]: (status, "application/json", msgspec.json.encode(body))
        for name, (status, body) in (answers | changed).items()
    }


async def test_a_record_goes_through_a_service_that_is_open(tmp_path: Path) -> None:
    """Every step passes, the report says so, and a second run collides with nothing."""
    async with serving(tmp_path / "store.duckdb") as (running, client):
        ended = await smoke("--url", running.url)
        assert ended.status == 0, ended.out + ended.said
        assert re.findall(r"^  (\S+)  ", ended.out, re.MULTILINE) == ["ok"] * 6
        assert "Leave such records out by their id, which begins with smoke-." in ended.out
        again = await smoke("--url", running.url, "--json")
        assert (again.status, again.report["passed"]) == (0, True)
        assert again.report["visible_s"] < again.report["within_s"] == 60
        rows = (await client.get("/v1/records")).json()["records"]
        assert len({row["id"] for row in rows}) == len(rows) == 2
        assert rows[1]["delivery_key"] == again.report["delivery_key"]


async def test_an_id_that_might_be_a_real_records_is_not_made_up(tmp_path: Path) -> None:
    """Flights' ids follow a pattern: the report asks for a file, and with one it passes."""
    async with serving(tmp_path / "store.duckdb", record="examples.flights.record:Flight") as (running, client):
        ended = await smoke("--url", running.url, "--json")
        assert "no new id can be made up for this record type: give a record of your own" in ended.step("schema")
        document = (await client.get("/openapi/openapi.json")).json()
        content = document["paths"]["/v1/records"]["post"]["requestBody"]["content"]["application/json"]
        own = tmp_path / "flight.json"
        own.write_bytes(msgspec.json.encode(content["examples"]["one"]["value"]))
        ended = await smoke("--url", running.url, "--data", str(own))
        assert ended.status == 0, ended.out
        assert "every field as sent" in ended.out


async def test_other_record_types_will_do(tmp_path: Path) -> None:
    """The record is made of what the service shows: numbers, dates, lists, nested types and no id at all."""
    for kind in ("tests.contract.records:Wordy", "tests.schema.test_example:Everything"):
        async with serving(tmp_path / f"{kind[-5:]}.duckdb", record=kind) as (running, _):
            ended = await smoke("--url", running.url)
            assert ended.status == 0, ended.out


async def test_a_file_of_ones_own_is_sent_with_a_new_id(tmp_path: Path) -> None:
    """`{smoke}` in it is replaced; a file that is no record ends the run before anything is sent."""
    own, bad = tmp_path / "own.json", tmp_path / "bad.json"
    own.write_text('{"id": "order-{smoke}", "timestamp": "2026-01-31T12:00:00+01:00", "data": {"n": [1, 2.5]}}')
    bad.write_text("[1]")
    async with serving(tmp_path / "store.duckdb") as (running, _):
        ended = await smoke("--url", running.url, "--data", str(own), "--json")
        assert ended.status == 0, ended.out
        assert re.fullmatch(r"order-smoke-\d{8}T\d{6}Z-[0-9a-f]{8}", ended.report["record"]["id"])
        wrong = await smoke("--url", running.url, "--data", str(bad))
        assert (wrong.status, wrong.out) == (2, "")
        assert "expected one record, a JSON object" in wrong.said


async def test_a_record_the_service_refuses_is_explained(tmp_path: Path) -> None:
    """The 422 names the field."""
    own = tmp_path / "own.json"
    own.write_text('{"id": "{smoke}", "timestamp": "yesterday"}')
    async with serving(tmp_path / "store.duckdb") as (running, _):
        ended = await smoke("--url", running.url, "--data", str(own), "--json")
        assert ended.status == 1
        assert "422" in ended.step("send")
        assert "timestamp" in ended.step("send")


async def test_a_guarded_service_wants_a_token_and_none_is_printed(tmp_path: Path) -> None:
    """By option, by command and by the environment; without one, or with a foreign one, the report says what to do."""
    good = tokens.token(email=READER)
    async with serving(tmp_path / "store.duckdb", **GUARDED) as (running, _):
        url = ("--url", running.url, "--json")
        for arguments, environment in (
            (("--token", good), {}),
            (("--token-command", f"echo {good}"), {}),
            (("--api-key", "MY_KEY"), {"MY_KEY": good}),
            ((), {"SMOKE_TOKEN": good}),
        ):
            ended = await smoke(*url, *arguments, **environment)
            assert ended.status == 0, ended.out
            assert good not in ended.out + ended.said
        nobody = await smoke(*url)
        assert nobody.status == 1
        assert "give --token-command, --token or --api-key" in nobody.step("schema")
        foreign = tokens.token(email=READER, aud="other")
        wrong = await smoke(*url, "--token", foreign)
        assert "SLUICE_API_AUDIENCE" in wrong.step("schema")
        assert foreign not in wrong.out + wrong.said
        unlisted = await smoke(*url, "--token", tokens.token(email="who@example.com"))
        assert "403" in unlisted.step("schema")
        assert "docs/access.md" in unlisted.step("schema")


async def test_an_environment_without_the_key_is_a_mistake_of_the_caller() -> None:
    """Status 2, one line, nothing asked."""
    ended = await smoke("--api-key", "MY_KEY")
    assert (ended.status, ended.out) == (2, "")
    assert ended.said == "error: --api-key MY_KEY: there is no such environment variable, or it is empty\n"
    failing = await smoke("--token-command", "sh -c 'echo no account >&2; exit 3'")
    assert failing.status == 2
    assert "ended with status 3: no account" in failing.said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sluice.example.com", "expected a base URL"),
        ("http://sluice.example.com", "a token is not sent over http"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the token leaves this machine."""
    assert main(["smoke", "--url", url, "--token", "secret"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"http://127.0.0.1:{free_port()}", "nobody listens at"),
        ("http://sluice.invalid", "is unknown (DNS)"),
    ],
)
async def test_a_service_that_is_not_there_is_named(url: str, said: str) -> None:
    """By what is wrong with it: nobody listens, or nobody has that name."""
    ended = await smoke("--url", url, "--json")
    assert ended.status == 1
    assert said in ended.step("ready")


async def test_a_feed_that_never_shows_the_record_fails_in_time() -> None:
    """Bounded by --within, and the report says where to look."""
    with answering(double()) as url:
        never = await smoke("--url", url, "--within", "1.2", "--json")
    assert never.status == 1
    assert "the feed did not show it within 1.2 s" in never.step("feed")
    assert "the last window ended at 2026-01-31T12:01:00Z" in never.step("feed")
    assert "Is SLUICE_SETTLE_S below this time" in never.step("feed")
    assert float(never.report["steps"][-1]["took_s"]) < 5


async def test_a_record_that_was_rejected_on_its_way_is_explained() -> None:
    """Where the caller may read the rejects, the report says why."""
    rejected = {"reason": "invalid", "detail": "Expected `str`, got `int` - at `$.source`"}
    with answering(double(rejects=(200, PAGE | {"records": [rejected]}))) as url:
        ended = await smoke("--url", url, "--within", "0.5", "--json")
    assert ended.step("feed").endswith("It was rejected: invalid, Expected `str`, got `int` - at `$.source`")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "x"}, {"id": "x"}], "the feed shows the one record that was sent 2 times"),
        ([{"id": "another"}], "what the feed shows is not what was sent: id"),
    ],
)
async def test_a_feed_that_shows_something_else_fails(rows: list[dict[str, str]], said: str) -> None:
    """Twice, or with another value."""
    with answering(double(feed=(200, PAGE | {"records": rows}))) as url:
        ended = await smoke("--url", url, "--json")
    assert ended.status == 1
    assert said in ended.step("feed")


@pytest.mark.parametrize(
    ("status", "kind", "body", "said"),
    [
        (403, "text/html", b"<html>Forbidden</html>", "Cloud Run itself refused"),
        (500, "text/plain", b"oh no", "answered 500: oh no"),
        (302, "text/html", b"", "sent on to https://elsewhere.example/"),
        (200, "text/html", b"<html>", "no JSON"),
        (404, "text/html", b"", "is the URL the service's own"),
    ],
)
async def test_what_answers_instead_of_the_service_is_told_apart(
    status: int, kind: str, body: bytes, said: str
) -> None:
    """A platform that refuses, a proxy, another service."""
    with answering({"/health/ready": (status, kind, body)}) as url:
        ended = await smoke("--url", url, "--json")
    assert ended.status == 1
    assert said in ended.step("ready")


async def test_a_sink_that_is_not_active_fails_with_its_reason() -> None:
    """What the readiness says reaches the report."""
    sink = {"state": "NO_TABLE", "stuck": False, "detail": "Not found: p.d.records", "help": "docs/operations.md#x"}
    with answering(double(ready=(503, READY | {"sinks": {"records": sink}}))) as url:
        ended = await smoke("--url", url, "--json")
    said = "not ready: table records: NO_TABLE, Not found: p.d.records (see docs/operations.md#x)"
    assert ended.step("ready") == said


async def test_a_service_that_cannot_store_fails_after_some_tries() -> None:
    """A 503 is tried again, with the same key, until --within is over."""
    problem = {"code": "store_unavailable", "detail": "the store does not answer", "title": "t"}
    answers = double() | {"POST /v1/records": (503, "application/problem+json", msgspec.json.encode(problem))}
    with answering(answers) as url:
        ended = await smoke("--url", url, "--within", "2.5", "--json")
    assert ended.status == 1
    assert "(3 tries) was answered 503 store_unavailable: the store does not answer" in ended.step("send")


def test_on_the_laptop_it_goes_by_pubsub_too(tmp_path: Path) -> None:
    """Against `python -m dev up`: the record is published, pushed, stored, and read as a heartbeat."""
    arguments = ["up", "--port", "0", "--data-path", str(tmp_path / "store.duckdb")]
    with subprocess.Popen([sys.executable, "-m", "dev", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = ""
        while "Ctrl-C stops everything" not in shown:
            line = process.stdout.readline()
            assert line, f"it ended after saying {shown}"
            shown += line
        try:
            url = re.search(r"API +(http://\S+)/v1/records", shown)
            broker = re.search(r"PUBSUB_EMULATOR_HOST=(\S+)  project (\S+), topic (\S+)", shown)
            assert url is not None
            assert broker is not None
            topic = f"projects/{broker[2]}/topics/{broker[3]}"
            command = (sys.executable, "-m", "dev", "smoke", "--url", url[1])
            environment = OPEN | {"PUBSUB_EMULATOR_HOST": broker[1]}
            for way in ([], ["--topic", topic]):
                run = subprocess.run([*command, *way], cwd=ROOT, env=environment, capture_output=True, check=False)
                assert run.returncode == 0, run.stdout + run.stderr
            assert b"It is a heartbeat" in run.stdout
            missing = [*command, "--topic", f"{topic}-missing", "--json"]
            run = subprocess.run(missing, cwd=ROOT, env=environment, capture_output=True, check=False)
            assert run.returncode == 1
            assert f"nothing could be published to {topic}-missing" in run.stdout.decode()
        finally:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
