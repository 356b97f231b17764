"""A mirror as a process: how it starts, what it refuses, and what it does while its source is away."""

import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest

from app.record import Record
from app.runtime.clock import SystemClock
from app.runtime.instants import to_text
from app.schema.table import records_table, rejects_table
from sluice.testing.pace import patience_s
from tests.mirror.conftest import mirror_of, wait_until_read
from tests.streams.service import ORDER, PAYMENT, VISIT
from tests.support.http_server import Handler, serving_http
from tests.support.instance import Caller, Instance, instance
from tests.support.local_bigquery import Double, settings_of
from tests.support.process import ROOT, environment, free_port, program

STREAMS = "tests.streams.market:STREAMS"
NOTE = {"id": "a", "timestamp": "2026-01-31T12:00:00Z"}
FEED = ("/v1/records", "/v1/records?format=csv", "/v1/records?limit=all", "/v1/records/a", "/v1/state")
READS = (*FEED, "/v1/records/stats")


def refused(folder: Path, source: Instance, **settings: str) -> str:
    """Return the log of a mirror that does not start; its status says that it cannot."""
    own = mirror_of(source, port=str(free_port()), data_path=str(folder / "refused.duckdb")) | settings
    env, timeout = environment(own), patience_s(60)
    done = subprocess.run(
        program(None), cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 2, done.stderr + done.stdout
    return done.stderr + done.stdout


def test_reads_go_on_while_the_source_is_away(tmp_path: Path) -> None:
    """Also after a restart. So no read of a mirror is one of the source; health and each answer tell the lag."""
    with instance(tmp_path / "source") as source:
        httpx.post(f"{source.url}/v1/records", json=NOTE).raise_for_status()
        settings = mirror_of(source)
        with instance(tmp_path / "mirror", **settings) as running, httpx.Client(base_url=running.url) as http:
            stored = httpx.get(f"{source.url}/v1/records").json()["window"]["until"]
            wait_until_read(http, stored)
            assert http.delete("/v1/records/a").json()["code"] == "forbidden"
            assert http.post("/v1/records", json=NOTE).status_code == 405
            assert http.get("/v1/rejects").status_code == http.get("/v1/rejects/stats").status_code == 404
        httpx.post(f"{source.url}/v1/records", json=[NOTE, NOTE]).raise_for_status()
        further = httpx.get(f"{source.url}/v1/records", params={"limit": "2"}).json()
    for _ in range(2):
        with instance(tmp_path / "mirror", **settings) as running, httpx.Client(base_url=running.url) as http:
            for _ in range(20):
                answers = [http.get(path) for path in READS]
                assert [each.status_code for each in answers] == [200] * len(READS)
            assert all('"a"' in each.text or "a," in each.text for each in answers[: len(FEED)])
            health = http.get("/health/ready", params={"strict": 1})
            assert (health.status_code, health.json()["store"]["kind"]) == (200, "mirror")
            assert float(answers[0].headers["sluice-lag"]) > 0
            assert health.json()["store"]["lag_s"] >= float(answers[0].headers["sluice-lag"])
            assert "sluice_mirror_lag_seconds " in http.get("/metrics").text
            as_of = {"as_of": further["resume_cursor"]}
            for early in (
                http.get("/v1/records", params={"cursor": further["next_cursor"]}),
                http.get("/v1/state", params=as_of),
            ):
                assert (early.status_code, early.headers["retry-after"]) == (503, "1")
            waits = http.get("/v1/records", params={"cursor": further["resume_cursor"]}).json()
            assert waits["records"] == []


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        (Caller("part", ("read",), filters={"source": "s1"}), "without fixed filters"),
        (Caller("writer", ("write",)), "scope"),
    ],
)
def test_a_key_that_is_not_told_everything_is_refused(caller: Caller, words: str, tmp_path: Path) -> None:
    """The message names the reason, and what the key needs."""
    with instance(tmp_path / "source", (caller,)) as source:
        log = refused(tmp_path, source, mirror_token=source.keys[caller.name])
    assert "cannot be mirrored" in log
    assert words in log
    assert source.keys[caller.name] not in log


def test_what_stands_between_and_the_token_are_told_apart(tmp_path: Path) -> None:
    """A page for people is taken for a source that does not answer; without its token's file no mirror starts."""

    class Portal(Handler):
        def do_GET(self) -> None:
            self.reply(b"<html>Log in</html>", "text/html")

    own = {"backend": "mirror", "roles": "query"}
    with serving_http(Portal) as url, instance(tmp_path / "mirror", **own, mirror_url=url) as running:
        assert httpx.get(f"{running.url}/v1/records").status_code == 200
        assert "SLUICE_MIRROR_TOKEN cannot be used" in refused(tmp_path, running, mirror_token=str(tmp_path / "none"))
        assert "400 days at the source, and 401 here" in refused(tmp_path, running, retention_days="401")


def test_all_streams_are_mirrored(tmp_path: Path) -> None:
    """With a key in a file. An erasure is of one stream, whatever ids another one has; a stream may have no ids."""
    callers = (Caller("mirror", ("read",)), Caller("writer", ("read", "write", "erase")))
    sent = {"orders": ORDER | {"order_id": "7"}, "payments": PAYMENT, "visits": VISIT}
    with instance(tmp_path / "source", callers, streams=STREAMS) as source:
        key = tmp_path / "key"
        key.write_text(source.keys["mirror"] + "\n")
        own = mirror_of(source, mirror_token=str(key), streams=STREAMS)
        with (
            instance(tmp_path / "mirror", **own) as running,
            httpx.Client(base_url=running.url) as http,
            httpx.Client(base_url=source.url, headers={"Authorization": f"Bearer {source.keys['writer']}"}) as writer,
        ):
            paths = [f"/v1/streams/{name}/records" for name in sent]
            for path, record in zip(paths, sent.values(), strict=True):
                writer.post(path, json=record).raise_for_status()
            writer.delete("/v1/streams/payments/records/7").raise_for_status()
            now = to_text(SystemClock().now_us())
            for path, left in zip(paths, (1, 0, 1), strict=True):
                wait_until_read(http, now, path)
                found = [each.get(path).json()["records"] for each in (http, writer)]
                assert (found[0], len(found[0])) == (found[1], left)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_bigquery_is_mirrored(local_bigquery: Double, tmp_path: Path) -> None:
    """By an export and by pages, with an erasure in between: every closed window is equal."""
    place = local_bigquery.fresh(records_table(Record), rejects_table())
    try:
        with (
            instance(tmp_path / "source", **settings_of(place), retention_days="2") as source,
            httpx.Client(base_url=source.url, timeout=patience_s(60)) as http,
        ):
            http.post("/v1/records", json=[NOTE | {"id": each} for each in "abc"]).raise_for_status()
            wait_until_read(http, to_text(SystemClock().now_us()))
            with (
                instance(tmp_path / "mirror", **mirror_of(source, retention_days="2")) as running,
                httpx.Client(base_url=running.url) as mirror,
            ):
                wait_until_read(mirror, to_text(SystemClock().now_us()))
                http.delete("/v1/records/b").raise_for_status()
                http.post("/v1/records", json=NOTE | {"id": "d"}).raise_for_status()
                now = to_text(SystemClock().now_us())
                for each in (http, mirror):
                    wait_until_read(each, now)
                asked = {"since": "-PT1H", "until": now, "limit": "all", "format": "ndjson"}
                texts = [each.get("/v1/records", params=asked).text for each in (http, mirror)]
                assert texts[0] == texts[1]
                assert [msgspec.json.decode(line)["id"] for line in texts[1].splitlines()] == ["a", "c", "d"]
    finally:
        local_bigquery.drop(place)


def test_a_difference_of_the_declarations_is_named(tmp_path: Path) -> None:
    """With the column, and what to do."""
    with instance(tmp_path / "source") as source:
        log = refused(tmp_path, source, record="tests.query.sample_rows:Everything")
        assert "the source has no flag" in log
        assert "SLUICE_STREAMS" in log


def test_the_file_of_another_source_is_refused(tmp_path: Path) -> None:
    """Records of two services would mix."""
    with instance(tmp_path / "source") as source:
        with instance(tmp_path / "mirror", **mirror_of(source)):
            pass
        settings = {"mirror_url": "http://127.0.0.1:9", "data_path": str(tmp_path / "mirror" / "sluice.duckdb")}
        log = refused(tmp_path, source, **settings)
    assert f"is a mirror of {source.url}, not of http://127.0.0.1:9" in log


def test_a_mirror_takes_no_records(tmp_path: Path) -> None:
    """It has the role of reading alone."""
    with instance(tmp_path / "source") as source:
        assert "SLUICE_ROLES must be query" in refused(tmp_path, source, roles="ingest,query")
