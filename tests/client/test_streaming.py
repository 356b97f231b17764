"""Tails and exports, however the bytes are cut and wherever the connection breaks."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client.errors import UnreachableError
from sluice_client.protocol.effects import Broken, Emit, Open, Pause, Read, Reply
from sluice_client.protocol.exports import Exported, download
from sluice_client.protocol.requests import Feed, Range
from sluice_client.protocol.retry import FOREVER, RetryPolicy
from sluice_client.protocol.tails import EventParser
from tests.client.scripted import Answer, problem, scripted

STREAM = (
    b'retry: 1500\nid: c0\n\nevent: record\r\nid: c1\r\ndata: {"id":"a"}\r\n\r\n'
    b': a comment\n\nevent: record\nid: c2\ndata: {"id":\ndata: "b"}\n\nid: c3\n\n'
)


def stream(*parts: bytes | Exception, **headers: str) -> Answer:
    """Return a response whose body arrives in parts, and may break off."""

    def body() -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, Exception):
                raise part
            yield part

    return lambda _: httpx.Response(
        200, content=body(), headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def line(number: int) -> bytes:
    """Return a record of an export; two share an instant."""
    record = {"n": number, "ingest_time": f"T{number // 2:03}", "delivery_key": f"k{number:03}"}
    return json.dumps(record).encode() + b"\n"


def end(count: int, cursor: str = "c") -> bytes:
    """Return the closing line."""
    return json.dumps({"end": True, "records": count, "resume_cursor": cursor}).encode() + b"\n"


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    """Also within a line end, a character or a field."""
    parser, found = EventParser(), list[tuple[str, Any, str]]()
    edges = [0, *sorted(cuts), len(STREAM)]
    for begin, after in itertools.pairwise(edges):
        found += [(event.name, json.loads(event.data), event.id) for event in parser.feed(STREAM[begin:after])]
    assert found == [("record", {"id": "a"}, "c1"), ("record", {"id": "b"}, "c2")]
    assert (parser.last_id, parser.retry_s) == ("c3", 1.5)


def test_a_tail_continues_after_its_last_event() -> None:
    """After a break, the regular end and an error; an event that was cut off is not delivered."""
    client, script = scripted(
        stream(STREAM, b'event: record\nid: c4\ndata: {"id":', httpx.ReadError("cut")),
        stream(b'event: record\nid: c4\ndata: {"id":"c"}\n\nevent: end\nid: c5\ndata: {"reason":"time"}\n\n'),
        problem(503, "store_busy"),
        stream(b'event: error\ndata: {"code":"store_unavailable"}\n\n'),
        stream(b'event: record\nid: c6\ndata: {"id":"d"}\n\n'),
    )
    tail = client.tail("-PT5M", fields=["id"])
    events = [next(tail) for _ in range(4)]
    assert [(event.record["id"], event.cursor) for event in events] == [
        ("a", "c1"),
        ("b", "c2"),
        ("c", "c4"),
        ("d", "c6"),
    ]
    assert [request.headers.get("Last-Event-ID") for request in script.requests] == [None, "c3", "c5", "c5", "c5"]
    assert script.params("since") == ["-PT5M", None, None, None, None]
    assert script.reasons[0].endswith("did not answer: cut")
    assert script.reasons[1:] == ["503 store_busy: store_busy: about store_busy", "503 store_unavailable"]


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=6))
def test_an_export_that_breaks_anywhere_has_each_record_once(breaks: list[tuple[int, bool]]) -> None:
    """It continues from the last instant, without the records that it has; a break may be silent."""
    records = [line(number) for number in range(12)]

    def serve(stop: int | None, is_silent: bool) -> Answer:  # noqa: FBT001
        def answer(request: httpx.Request) -> httpx.Response:
            since = request.url.params["since"]
            left = [each for each in records if since == "begin" or json.loads(each)["ingest_time"] >= since]
            if stop is None:
                return respond(*left, end(len(left)))
            return respond(*left[:stop], *([] if is_silent else [httpx.ReadError("cut")]))

        def respond(*parts: bytes | Exception) -> httpx.Response:
            made = stream(*parts)
            assert callable(made)
            return made(httpx.Request("GET", "/"))

        return answer

    client, _ = scripted(*(serve(*each) for each in breaks), serve(None, False), retry=RetryPolicy(None))
    ends = list[Exported]()
    found = list(client.export_records("begin", on_end=ends.append))
    assert [record["n"] for record in found] == list(range(12))
    assert ends == [Exported("c", 12)]


@pytest.mark.parametrize(
    ("file_format", "body", "mark", "exported"),
    [
        ("ndjson", line(1) + line(2), end(2), Exported("c", 2)),
        ("csv", b'n,t\r\n1,"a\r\nb"\r\n', b"#end,1\r\n", Exported("h", 1)),
        ("arrow", b"bytes of arrow\n\xff\xff\xff\xff\0\0\0\0", b"", Exported("h")),
    ],
)
def test_a_file_appears_when_it_is_complete(
    file_format: Any, body: bytes, mark: bytes, exported: Exported, tmp_path: Path
) -> None:
    """Without the closing line; an attempt that breaks off, loudly or not, leaves nothing of itself."""
    path = tmp_path / "export"
    whole = [bytes([byte]) for byte in body + mark]
    broken = (stream(*whole[:9], httpx.ReadError("cut")), stream(body[:-3]), problem(429, "busy"))
    client, script = scripted(*broken, stream(*whole, Sluice_Resume_Cursor="h"))
    assert client.export(path, "-PT1H", file_format=file_format) == exported
    assert path.read_bytes() == body
    assert len(script.pauses) == 3
    client, _ = scripted(*[stream(body[:-3])] * 9, retry=RetryPolicy(3))
    with pytest.raises(UnreachableError, match="closing mark"):
        client.export(tmp_path / "other", file_format=file_format)
    assert [each.name for each in tmp_path.iterdir()] == ["export"]


def test_a_new_attempt_is_announced_before_it_is_asked_for() -> None:
    """So a caller who keeps what arrived asks for no export that is thrown away."""
    steps = download(Feed(), Range(), "arrow", FOREVER)
    outcomes = [None, None, Reply(200, {}), b"rows", None, Broken("cut"), None]
    assert [type(steps.send(each)) for each in outcomes] == [Emit, Open, Read, Emit, Read, Pause, Emit]
