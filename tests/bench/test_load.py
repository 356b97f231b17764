"""A round that ends before the first answer is repeated for longer: it counts neither as zero nor as infinite."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.ingest import rounds
from bench.ingest.load import Order
from bench.ingest.messages import Case
from sluice.testing.pace import patience_s


@asynccontextmanager
async def answering_after(seconds: float) -> AsyncIterator[int]:
    """Serve 204 on a port, `seconds` after each push arrived, until the block ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):  # a push this small arrives in one piece
            await asyncio.sleep(seconds)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def short(port: int) -> Order:
    """Return a load of one connection that measures for 10 ms."""
    return Order(ports=[port], case=Case(in_flight=1), authorization="Bearer x", seconds=0.01, warm_s=0.0)


async def test_an_empty_round_is_repeated_for_longer() -> None:
    """All messages of all repetitions are answered; the rate is that of the round that saw some."""
    async with answering_after(0.2) as port:
        loaded = await rounds.load(short(port), [0])
    assert 0 < loaded.messages < loaded.answered
    assert loaded.failed == 0
    assert 0 < rounds.measured(loaded, Case(in_flight=1)).messages_per_s <= 10


async def test_a_service_that_never_answers_in_time_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the longest round the benchmark ends and says what it saw."""
    monkeypatch.setattr(rounds, "_LONGEST_S", 0.02)
    async with answering_after(patience_s(0.2)) as port:
        with pytest.raises(SystemExit, match=r"nothing to measure in 0\.02 s: 0 messages"):
            await rounds.load(short(port), [0])
