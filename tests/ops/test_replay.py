"""Replaying rejected records, against a service that serves the rejects feed in pages."""

import asyncio
import gzip
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from app.auth.signatures import replay_signature
from sluice.__main__ import main
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Message
from sluice.ops.replay import RejectRow, assemble, readable
from tests.local.conftest import SECRET, SUBSCRIPTION, TOPIC

pytestmark = pytest.mark.usefixtures("pubsub_host", "signing")


PAGE = {"next_cursor": None, "resume_cursor": "x", "window": {"since": "a", "until": "b"}, "poll_after": 1}


class Rejects:
    """`GET /v1/rejects` in pages of two; keeps the queries it was sent."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.url = ""
        self.streams: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        self.tokens.append(request.headers.get("Authorization", ""))
        if request.query.get("since") == "yesterday":
            return web.json_response({"detail": "since: 'yesterday' is neither"}, status=400)
        start = int(request.query.get("cursor", "0"))
        more = start + 2 < len(self.rows)
        page = {"records": self.rows[start : start + 2], "next_cursor": str(start + 2) if more else None}
        return web.json_response(PAGE | page)

    async def list_streams(self, _: web.Request) -> web.Response:
        if not self.streams:
            return web.json_response({"title": "no such path"}, status=404)
        return web.json_response({"streams": [{"name": name} for name in self.streams]})

    async def handle_stream(self, request: web.Request) -> web.Response:
        own = [row for row in self.rows if row["stream"] == request.match_info["stream"]]
        return web.json_response(PAGE | {"records": own})

    def add(self, key: str, payload: bytes, reason: str = "invalid", **fields: Any) -> None:
        row = {"reason": reason, "detail": "…", "field": None, "payload": b64encode(payload).decode()}
        envelope = {"part": 0, "parts": 1, "attributes": {}, "ordering_key": None, "message_id": "1"}
        self.rows.append(row | envelope | {"delivery_key": key} | fields)


@pytest.fixture
async def rejects() -> AsyncIterator[Rejects]:
    """A service with a feed of rejects."""
    served = Rejects()
    app = web.Application()
    app.router.add_get("/v1/rejects", served.handle)
    app.router.add_get("/v1/streams", served.list_streams)
    app.router.add_get("/v1/streams/{stream}/rejects", served.handle_stream)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


async def replay(rejects: Rejects, *arguments: str) -> int:
    """Run `sluice replay` beside the server."""
    return await asyncio.to_thread(main, ["replay", "--service", rejects.url, *arguments])


def messages(broker: Broker) -> list[Message]:
    """Return what was published."""
    return [delivery.message for delivery in broker.pull(SUBSCRIPTION, 100)]


async def test_rejects_are_published_with_their_attributes_and_key(
    subscribed: Broker, rejects: Rejects, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each record comes back as it was, plus the original delivery key, over all pages of the window."""
    for number in range(5):
        rejects.add(f"m:1:{number}", b"{%d" % number, "malformed", attributes={"k": "v"}, ordering_key="o")
    status = await replay(rejects, "--since", "-PT15M", "--until", "now", "--token", "secret")
    assert status == 0
    assert [(m.data, m.attributes, m.ordering_key) for m in messages(subscribed)] == [
        (
            b"{%d" % number,
            {
                "k": "v",
                "sluice-delivery-key": f"m:1:{number}",
                "sluice-signature": replay_signature(SECRET, f"m:1:{number}", b"{%d" % number),
            },
            "o",
        )
        for number in range(5)
    ]
    first, second, third = rejects.queries
    assert (first["since"], first["until"]) == ("-PT15M", "now")
    assert [second["cursor"], third["cursor"]] == ["2", "4"]
    assert set(rejects.tokens) == {"Bearer secret"}
    assert capsys.readouterr().out == f"published 5 records (5 malformed) to {TOPIC}\n"


@pytest.mark.parametrize("reason", ["too_complex", "too_many_rejects"])
async def test_a_whole_message_is_published_as_it_came(subscribed: Broker, rejects: Rejects, reason: str) -> None:
    """Compressed, and said to be: once the limit is raised, every record of it is taken."""
    data, attributes = gzip.compress(b"[{}, {}]", mtime=0), {"content-encoding": "gzip"}
    rejects.add("1:5:0", data, reason, attributes=attributes)
    rejects.add("2:5:0", b"{}")
    assert await replay(rejects, "--reason", reason) == 0
    (message,) = messages(subscribed)
    proof = {"sluice-delivery-key": "1:5:0", "sluice-signature": replay_signature(SECRET, "1:5:0", data)}
    assert (message.data, dict(message.attributes)) == (data, attributes | proof)


async def test_each_record_returns_to_its_stream(subscribed: Broker, rejects: Rejects) -> None:
    """The attribute names the stream, and the key is the one that the record had in it, over all its parts."""
    rejects.streams = ["orders", "payments"]
    rejects.add("m:1:0", b"default", stream="orders", attributes={"stream": "the producer's own"})
    rejects.add("payments/m:1:0#1", b"b", stream="payments", part=1, parts=2)
    rejects.add("payments/m:1:0", b"a", stream="payments", parts=2)
    rejects.add("/m:2:0", b"nobody's", "unroutable", stream=None, attributes={"stream": "paymnts"})
    assert await replay(rejects) == 0
    assert placed(subscribed) == [
        (b"default", "orders", "m:1:0"),
        (b"ab", "payments", "m:1:0"),
        (b"nobody's", "paymnts", "m:2:0"),
    ]
    assert await replay(rejects, "--to", "payments", "--reason", "unroutable") == 0
    assert placed(subscribed) == [(b"nobody's", "payments", "m:2:0")]
    assert await replay(rejects, "--stream", "payments") == 0
    assert placed(subscribed) == [(b"ab", "payments", "m:1:0")]


def placed(broker: Broker) -> list[tuple[bytes, str | None, str]]:
    """Return the payload of each message published, the stream that it names, and its delivery key."""
    return [(m.data, m.attributes.get("stream"), m.attributes["sluice-delivery-key"]) for m in messages(broker)]


async def test_parts_are_put_together_and_a_missing_part_is_told(
    subscribed: Broker, rejects: Rejects, capsys: pytest.CaptureFixture[str]
) -> None:
    """A payload in three rows is one message; one with a row outside the window is left alone, loudly."""
    rejects.add("big:1:0#2", b"c", part=2, parts=3)
    rejects.add("big:1:0", b"a", part=0, parts=3)
    rejects.add("torn:1:0#1", b"x", part=1, parts=2)
    rejects.add("big:1:0#1", b"b", part=1, parts=3)
    assert await replay(rejects) == 1
    assert [(m.data, m.attributes["sluice-delivery-key"]) for m in messages(subscribed)] == [(b"abc", "big:1:0")]
    assert "torn:1:0: a part of its payload is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("payload", "kept"), [(gzip.compress(b"[{", mtime=0), {"content-encoding": "gzip"}), (b'{"id": 7}', {})]
)
def test_a_record_out_of_a_compressed_message_is_not_called_compressed(payload: bytes, kept: dict[str, str]) -> None:
    """A whole message keeps its gzip mark; a single record was stored decompressed and loses it."""
    row = RejectRow("invalid", "m:1:0", payload, attributes={"content-encoding": "gzip"})
    (rejected,) = assemble([row], [])
    assert rejected.attributes == kept
    assert rejected.payload == payload


def test_a_reject_whose_bytes_were_withheld_is_named_and_not_replayed() -> None:
    """Nothing could be published in its place; one that was scrubbed is replayed as it was stored."""
    rows = [
        RejectRow("malformed", "m:1:0", b"", attributes={"sluice-payload": "withheld"}),
        RejectRow("invalid", "m:1:1", b"{}", attributes={"sluice-payload": "scrubbed"}),
        RejectRow("invalid", "m:1:2", b"{}"),
    ]
    withheld: list[str] = []
    assert ([row.delivery_key for row in readable(rows, withheld)], withheld) == (["m:1:1", "m:1:2"], ["m:1:0"])


def test_a_reject_that_was_stored_again_because_it_was_late_keeps_its_key() -> None:
    """Its parts find each other, whichever were late; only a record with a missing part is reported."""
    incomplete: list[str] = []
    rows = [
        RejectRow("invalid", "m:1:0", b"a", part=0, parts=2),
        RejectRow("invalid", "m:1:0#1~late1", b"b", part=1, parts=2),
        RejectRow("invalid", "m:1:0#1", b"b", part=1, parts=2),
        RejectRow("invalid", "m:1:1~late12", b"c"),
        RejectRow("invalid", "m:1:2#1~late1", b"d", part=1, parts=2),
    ]
    found = [(each.delivery_key, each.payload) for each in assemble(rows, incomplete)]
    assert (found, incomplete) == ([("m:1:0", b"ab"), ("m:1:1", b"c")], ["m:1:2"])
