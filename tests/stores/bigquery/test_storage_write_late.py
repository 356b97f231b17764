"""The error matrix: commits that land after the client gave up, and what the feed's settled horizon makes of them."""

from collections.abc import Sequence

import msgspec
import pytest

from app.ingest.verdict import Durable
from app.ingest.write.batching import BatchLimits
from app.runtime.clock import MICROSECONDS
from app.settings.load import Settings
from app.stores.bigquery.connection import AppendRequests, Connection
from sluice.testing.misbehaving.faults import Fault, Silence, by_connection, in_turn
from sluice.testing.misbehaving.waiting import until
from tests.ingest.scripted import turns
from tests.stores.bigquery.rig import APPEND_DEADLINE_S, Rig, rigged

SETTINGS = Settings()
BIG = BatchLimits(max_rows=500, max_bytes=9_000_000)


class Copy(msgspec.Struct, frozen=True):
    """One copy of a row: its stamp, and how old the stamp was when the copy could first be read, in seconds."""

    stamp_us: int
    age_s: float


def copies(rig: Rig, row_id: str) -> list[Copy]:
    """Return the copies of a row in the order in which they could be read."""
    return [
        Copy(row["ingest_time"], (commit.commit_us - row["ingest_time"]) / MICROSECONDS)
        for commit in rig.server.shelf.commits
        for row in commit.rows
        if row["id"] == row_id
    ]


async def test_a_commit_within_the_late_commit_margin_is_ahead_of_the_settled_horizon() -> None:
    """Given up at 10 s, committed at 19.9 s: no reader has passed its stamp, which is 30 s minus skew away."""
    assert SETTINGS.store.append_deadline_s == APPEND_DEADLINE_S
    async with rigged() as rig:
        commit_s = APPEND_DEADLINE_S + SETTINGS.store.late_commit_margin_s - 0.1
        late = Fault(commit_delay_s=commit_s, awaits_commit=False, answer=Silence())
        rig.server.decide = by_connection([late])
        message = await rig.sent("a")
        await rig.clock.advance(APPEND_DEADLINE_S)
        assert await rig.told_later(message) == [Durable()]
        assert rig.stored == {"a": 1}
        await rig.clock.advance(APPEND_DEADLINE_S)
        assert rig.stored == {"a": 2}
        second, first = copies(rig, "a")
        assert first.stamp_us < second.stamp_us
        assert round(first.age_s, 1) == 19.9
        assert first.age_s < SETTINGS.store.settle_s - SETTINGS.store.clock_skew_s


def stop_process(rig: Rig, seconds: float) -> None:
    """Let time pass in which nothing of ours runs, not even a timer."""
    rig.clock._now_us += round(seconds * MICROSECONDS)
    rig.clock._elapsed_us += round(seconds * MICROSECONDS)


def keys(rig: Rig) -> list[str]:
    """Return the delivery keys in the order in which rows could be read."""
    return [row["delivery_key"] for row in rig.server.shelf.rows()]


@pytest.mark.parametrize("stopped_s", [29.0, 3_600.0])
async def test_an_acknowledgement_that_is_read_too_late_is_repaired(rig: Rig, stopped_s: float) -> None:
    """The row may lie behind readers: it is durable once it is stored again, in time, and as no copy of the first."""
    rig.server.decide = in_turn(Fault(answer_gate="ack"), Fault(answer_gate="repair"))
    message = await rig.sent("a")
    stop_process(rig, stopped_s)
    rig.server.gate("ack").set()
    await rig.arrived(2)
    assert not message.is_told
    rig.server.gate("repair").set()
    assert await rig.told(message) == [Durable()]
    assert keys(rig) == ["a:0", "a:0~late1"]
    assert copies(rig, "a")[-1].age_s < 1
    assert await rig.told(rig.send("b")) == [Durable()]
    assert keys(rig)[-1] == "b:0"


async def test_rows_are_stamped_when_the_stream_is_open(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our loop was held up for 35 s while it was opened: the stamp is taken after that, and the rows are in time."""
    open_stream = Connection._open

    async def held_up(connection: Connection) -> None:
        await open_stream(connection)
        stop_process(rig, 35)

    monkeypatch.setattr(Connection, "_open", held_up)
    assert await rig.told(rig.send("a", budget_s=60)) == [Durable()]
    assert keys(rig) == ["a:0"]
    (copy,) = copies(rig, "a")
    assert copy.age_s < 1


async def test_a_stamp_that_grew_old_before_it_was_sent_is_taken_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while the request was put together."""
    write, stops = AppendRequests.write, [2.0, 40.0]

    def stopped(requests: AppendRequests, rows: Sequence[bytes], end: bytes, *, first: bool) -> bytes:
        if stops:
            stop_process(rig, stops.pop())
        return write(requests, rows, end, first=first)

    monkeypatch.setattr(AppendRequests, "write", stopped)
    assert await rig.told(rig.send("a", budget_s=90)) == [Durable()]
    assert keys(rig) == ["a:0"]
    (copy,) = copies(rig, "a")
    assert copy.age_s < 1


async def test_every_attempt_is_stamped_anew(rig: Rig) -> None:
    """No copy is older than its own attempt: only so the horizon can be reckoned from one attempt's deadline."""
    rig.server.decide = lambda arrival: Fault(answer=Silence()) if arrival.connection < 3 else Fault()
    message = await rig.sent("a")
    for requests in (2, 3):
        await rig.clock.advance(APPEND_DEADLINE_S)
        await rig.arrived_later(requests)
    assert await rig.told(message) == [Durable()]
    assert rig.stored == {"a": 3}
    assert all(copy.age_s < 1 for copy in copies(rig, "a"))


async def test_what_was_given_up_while_it_was_written_never_arrives() -> None:
    """It hung on its way with another behind it: both are sent again, stamped anew, and the old bytes are lost."""
    async with rigged(limits=BIG) as rig:
        assert await rig.told(rig.send("warm")) == [Durable()]
        (link,) = rig.server.wire.open_links
        link.freeze()
        large = rig.send("large", *[f"l{number}" for number in range(100)], padding=60_000)
        await turns(100)
        await rig.clock.advance(APPEND_DEADLINE_S - 0.1)
        behind = rig.send("behind")
        await turns(100)
        await rig.clock.advance(0.1)
        link.thaw()
        assert await rig.told_later(large, behind) == [Durable(), Durable()]
        await until(lambda: rig.server.open_streams == 1)
        assert [arrival.ids[0] for arrival in rig.server.arrivals if arrival.connection == 1] == ["warm"]
        assert set(rig.stored.values()) == {1}
        assert all(copy.age_s < 1 for row_id in rig.stored for copy in copies(rig, row_id))
