"""The look-up of earlier deliveries: which messages it concerns, what it asks, and what follows a silent store."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.ingest.write.dedupe import EarlierCopies, copies_after_seek
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_epoch_us, to_text
from app.settings.load import Settings, SettingsError, load_settings
from app.stores.query import Keys
from app.stores.source import Answer, QueryRunner, StoreUnavailableError
from sluice.testing.clock import FakeClock

NOW_US = 1_769_860_800 * SECOND_US


class Table:
    """The rows of one table, by key, and the queries that were sent to it."""

    def __init__(self, rows: dict[str, int]) -> None:
        self.rows_us, self.queries = rows, list[Keys]()
        self.before: Callable[[], None] = lambda: None

    async def rows(self, query: Keys) -> Answer:
        self.queries.append(query)
        await asyncio.sleep(0)
        self.before()
        wanted = {*query.conditions[0].values}
        found = [
            key for key, at in self.rows_us.items() if query.within.from_us <= at < query.within.to_us and key in wanted
        ]
        return Answer([{"delivery_key": key} for key in found])


def message(number: int, published_us: int) -> Message:
    """Return a message of one record."""
    return Message(key=f"m{number}", data=b"", published_us=published_us, publish_time=from_epoch_us(published_us))


def copies(table: Table) -> EarlierCopies:
    """Return a look-up of everything that is older than the look-back."""
    runner = cast("QueryRunner", table)
    return EarlierCopies(runner, FakeClock(NOW_US), from_us=0, older_than_us=15 * MINUTE_US, lead_us=2 * SECOND_US)


@pytest.mark.parametrize(
    ("since_us", "age_us", "expected"),
    [
        (NOW_US - DAY_US, HOUR_US, True),
        (NOW_US - DAY_US, DAY_US, True),
        (NOW_US - DAY_US, DAY_US + SECOND_US, False),  # before the seek
        (NOW_US - DAY_US, 14 * MINUTE_US, False),  # reads see it
        (NOW_US - DAY_US, 15 * MINUTE_US, True),  # it may be stored up to half a minute later
    ],
)
def test_a_seek_concerns_messages_that_reads_cannot_recognise(since_us: int, age_us: int, expected: object) -> None:
    """Those published since then, and too old for the look-back by the time they are stored."""
    settings, clock = Settings().replace(seek_since=to_text(since_us)), FakeClock(NOW_US)
    earlier = copies_after_seek(settings, cast("QueryRunner", None), clock)
    assert earlier is not None
    assert earlier.concerns(message(0, NOW_US - age_us)) is expected
    assert not earlier.concerns(Message(key="http:x", data=b""))


@given(
    stored=st.dictionaries(st.integers(0, 30), st.integers(0, 40), max_size=20),
    late=st.sets(st.integers(0, 30)),
    published=st.lists(st.integers(0, 40), min_size=1, max_size=31),
)
def test_every_stored_key_is_found_and_no_other(
    stored: dict[int, int], late: set[int], published: Sequence[int]
) -> None:
    """However long after its publication it was stored, and also under the key of a late row. Times are half hours."""
    start_us, half_us = NOW_US - 41 * HOUR_US, HOUR_US // 2
    at_us = {n: start_us + half_us * max(published[n] if n < len(published) else 0, at) for n, at in stored.items()}
    table = Table({f"m{n}:0" + ("~late1" if n in late else ""): at for n, at in at_us.items()})
    earlier = copies(table)

    async def found() -> list[frozenset[str]]:
        messages = [message(n, start_us + half_us * at) for n, at in enumerate(published)]
        return await asyncio.gather(*(earlier.stored("records", each, [f"{each.key}:0"]) for each in messages))

    expected = [frozenset({f"m{n}:0"} if n in stored else ()) for n in range(len(published))]
    assert asyncio.run(found()) == expected


async def test_messages_that_wait_together_share_queries() -> None:
    """While one is looked up, a thousand of its hour gather: one look-up, and one for those that it has not found."""
    table = Table({"m5:0": NOW_US - 2 * HOUR_US})
    earlier, published_us = copies(table), NOW_US - 2 * HOUR_US
    many = [earlier.stored("records", message(n, published_us), [f"m{n}:0"]) for n in range(1_001)]
    assert await asyncio.gather(*many) == [frozenset({"m5:0"} if n == 5 else ()) for n in range(1_001)]
    assert [(query.within.from_us, query.within.to_us) for query in table.queries[2:]] == [
        (published_us - 2 * SECOND_US, published_us + HOUR_US),
        (published_us + HOUR_US, pytest.approx(NOW_US + 2 * SECOND_US, abs=SECOND_US)),
    ]
    assert {len(query.conditions[0].values) for query in table.queries[2:]} == {2_048}


async def test_without_an_answer_nothing_is_stored() -> None:
    """One query fails all that wait for it; they come again, and a later look-up is made anew."""
    table = Table({})

    def fail() -> None:
        raise StoreUnavailableError("no answer")

    table.before, earlier = fail, copies(table)
    many = [message(number, NOW_US - DAY_US) for number in (1, 2)]

    async def asks() -> list[type]:
        looking = [earlier.stored("records", each, [f"{each.key}:0"]) for each in many]
        return [type(each) for each in await asyncio.gather(*looking, return_exceptions=True)]

    assert await asks() == [StoreUnavailableError] * 2
    table.before = lambda: None
    assert await asks() == [frozenset] * 2


async def test_a_cancelled_message_disturbs_no_other() -> None:
    """Its question goes on, and nobody waits for the answer."""
    table = Table({"m2:0": NOW_US - DAY_US})
    earlier = copies(table)
    first, second = (
        asyncio.create_task(earlier.stored("records", message(n, NOW_US - DAY_US), [f"m{n}:0"])) for n in (1, 2)
    )
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"m2:0"}
    assert first.cancelled()


def test_the_setting_must_be_an_instant() -> None:
    """With an offset: a seek is to one instant for all."""
    for since in ("yesterday", "2026-01-31T12:00:00", "-PT1H"):
        with pytest.raises(SettingsError, match=r"^SLUICE_SEEK_SINCE: .* such as `2026-01-31T12:00:00Z`"):
            load_settings({"SLUICE_SEEK_SINCE": since})
    load_settings({"SLUICE_SEEK_SINCE": "2026-01-31T12:00:00Z"})
