"""Answers on their way: in pieces, at their clients' pace, and only so many of one caller."""

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from app.http.cut_responses import recorded_reason
from app.http.outgoing import IN_SERVER_BYTES, PIECE_BYTES, ClientStalledError, Outgoing
from app.settings.server import ServerSettings
from sluice.testing.clock import FakeClock

STALL_S = 0.02


class Client:
    """A client that reads what it is sent, or nothing; `name` is of a known caller, None: nobody knows it."""

    def __init__(self, name: str | None = None, *, host: str = "192.0.2.1", port: int = 1) -> None:
        state = {} if name is None else {"principal": SimpleNamespace(name=name)}
        self.scope = {"type": "http", "client": (host, port), "state": state}
        self.reads = asyncio.Event()
        self.events: list[Any] = []

    async def send(self, event: Any) -> None:
        """Take an event when it reads; the start needs no reading."""
        if event["type"] == "http.response.body" and event["more_body"]:
            await self.reads.wait()
        self.events.append(event)

    async def ask(self, outgoing: Outgoing, *bodies: bytes, status: int = 200) -> None:
        """Have it answered with `bodies`; the last one ends the answer."""

        async def app(_: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": status, "headers": []})
            for number, body in enumerate(bodies):
                more = number + 1 < len(bodies)
                await send({"type": "http.response.body", "body": body, "more_body": more})

        await outgoing.answer(app, self.scope, None, self.send)

    @property
    def status(self) -> int:
        return int(self.events[0]["status"])

    @property
    def pieces(self) -> list[bytes]:
        return [event["body"] for event in self.events[1:]]


def outgoing_of(max_bytes: int = 10 * IN_SERVER_BYTES, stall_s: float = STALL_S) -> Outgoing:
    """Return what sends answers that come to no more than `max_bytes`."""
    return Outgoing(ServerSettings(max_large_answer_bytes=max_bytes, client_stall_s=stall_s), FakeClock())


async def test_a_small_answer_is_handed_over_whole_and_counted_by_nobody() -> None:
    """Most are."""
    outgoing, client = outgoing_of(), Client()
    await client.ask(outgoing, b"x" * PIECE_BYTES)
    assert client.pieces == [b"x" * PIECE_BYTES]
    assert (outgoing.documents.places, outgoing.answers.places) == (0, 0)


@pytest.mark.parametrize("size", [PIECE_BYTES + 1, 3 * PIECE_BYTES, 3 * PIECE_BYTES + 7])
@pytest.mark.parametrize("name", [None, "a"])
async def test_a_large_answer_goes_out_in_pieces_and_is_given_back(size: int, name: str | None) -> None:
    """The bytes are the same, and only the last piece ends it."""
    outgoing, client, body = outgoing_of(), Client(name), bytes(range(256)) * (size // 256 + 1)
    client.reads.set()
    await client.ask(outgoing, body[:size])
    assert b"".join(client.pieces) == body[:size]
    assert max(map(len, client.pieces)) == PIECE_BYTES
    assert [event["more_body"] for event in client.events[1:]] == [True] * (len(client.pieces) - 1) + [False]
    assert [each.places + each.bytes for each in (outgoing.documents, outgoing.answers)] == [0, 0]


async def test_a_view_is_sent_like_the_bytes_that_it_is_of() -> None:
    """The server takes bytes only, and an empty answer for anything else."""
    outgoing, client = outgoing_of(), Client()
    client.reads.set()
    await client.ask(outgoing, memoryview(b"0123456789")[3:], b"")  # type: ignore[arg-type] # a stream's
    assert client.pieces == [b"3456789", b""]
    assert all(type(piece) is bytes for piece in client.pieces)


async def test_unread_answers_of_one_caller_leave_room_for_those_of_others() -> None:
    """Forty unread pages of one key were enough to have everyone else's refused."""
    outgoing, page = outgoing_of(stall_s=60), b"x" * IN_SERVER_BYTES
    greedy = [Client("greedy") for _ in range(5)]
    asking = [asyncio.create_task(client.ask(outgoing, page)) for client in greedy]
    await asyncio.sleep(0)
    assert [client.status for client in greedy if client.events] == [200, 200, 200, 429, 429][: len(greedy)]
    problem = json.loads(greedy[-1].pieces[0])
    assert (problem["code"], problem["retry_after_s"]) == ("busy", 5)
    modest = Client("modest")
    modest.reads.set()
    await modest.ask(outgoing, page)
    assert modest.status == 200
    for client in greedy:
        client.reads.set()
    await asyncio.gather(*asking)
    assert (outgoing.answers.places, outgoing.answers.bytes) == (0, 0)


async def test_unread_documents_are_counted_by_address_and_apart_from_answers() -> None:
    """Whoever has no token can hold a quarter of what others can, and not even that from one address."""
    outgoing, document = outgoing_of(stall_s=60), b"x" * 2 * IN_SERVER_BYTES
    asking, greedy = [], [Client(host="192.0.2.1", port=number) for number in range(4)]
    for client in greedy:
        asking.append(asyncio.create_task(client.ask(outgoing, document)))
        await asyncio.sleep(0)
    assert [client.status for client in greedy] == [200, 429, 429, 429]
    assert outgoing.documents.bytes <= outgoing.documents.max_bytes == 10 * IN_SERVER_BYTES // 4
    assert outgoing.answers.bytes == 0
    other = Client(host="192.0.2.2")
    other.reads.set()
    await other.ask(outgoing, document)
    assert other.status == 200
    greedy[0].reads.set()
    await asyncio.gather(*asking)


async def test_a_client_that_reads_nothing_is_cut_off_and_told_of() -> None:
    """What it held is free again; a framework that wraps the error makes no defect of it."""
    outgoing, client, cut = outgoing_of(), Client("a", port=7), list[Any]()
    outgoing.cut = cut.append
    failures = list[BaseException]()

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        except OSError as error:
            failures.append(error)
            raise RuntimeError("after the response had started") from error

    await outgoing.answer(app, client.scope, None, client.send)
    assert [type(each) for each in failures] == [ClientStalledError]
    assert cut == [("192.0.2.1", "7")]
    assert (outgoing.answers.bytes, outgoing.answers.places) == (0, 0)
    assert recorded_reason(client.scope) == (logging.WARNING, "the client read nothing for 0.02 s")


async def test_what_an_application_raises_is_raised() -> None:
    """And nothing is held for it."""
    outgoing, client = outgoing_of(), Client()

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await outgoing.answer(app, client.scope, None, client.send)
    assert outgoing.documents.places == 0


async def test_a_stop_waits_for_answers_that_are_being_read_and_breaks_off_the_others() -> None:
    """For as long as it may."""
    outgoing, reading, stalled = outgoing_of(stall_s=60), Client("a"), Client("b")
    asking = [asyncio.create_task(each.ask(outgoing, b"x" * 2 * PIECE_BYTES)) for each in (reading, stalled)]
    await asyncio.sleep(0)
    clock: Any = outgoing._clock
    stopping = asyncio.create_task(outgoing.drain(2.0))
    await clock.advance(1)
    reading.reads.set()
    await asking[0]
    assert not stopping.done()
    await clock.advance(1.1)
    await stopping
    await asking[1]
    assert (len(reading.pieces), len(stalled.events)) == (2, 1)
    assert outgoing.answers.places == 0


async def test_a_stop_with_nothing_to_send_waits_for_nothing() -> None:
    """Nobody is being answered."""
    outgoing: Any = outgoing_of()
    await outgoing.drain(2.0)
    assert outgoing._clock.elapsed_us() == 0
