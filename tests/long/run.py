"""The part that runs share: load while both feeds are followed, and the same feeds read again afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec

from tests.long.fleet import Fleet
from tests.long.ledger import Evidence, Reading, violations
from tests.long.load import Driver
from tests.long.messages import Message
from tests.long.reader import Follower

FEEDS = ("/v1/records", "/v1/rejects")
Tables = tuple[dict[str, int], dict[str, int]]
"""How many rows the tables of records and of rejects have of each delivery key."""


class Walk(msgspec.Struct, frozen=True):
    """Both feeds, followed since `since` while a run went on and read again afterwards."""

    since: datetime
    followers: list[Follower]
    later: list[Follower]

    @property
    def pages(self) -> Counter[str]:
        """How the requests of pages ended."""
        return sum((each.outcomes for each in (*self.followers, *self.later)), Counter[str]())

    def wrong(self, sent: list[Message], driver: Driver, fleet: Fleet, tables: Tables) -> list[str]:
        """Return what the ledger says, and what else nobody may be answered or log."""
        evidence = Evidence(
            messages=sent,
            answers=driver.answers,
            followed=Reading(*(each.rows for each in self.followers)),
            reread=Reading(*(each.rows for each in self.later)),
            stored=tables[0],
            stored_rejects=tables[1],
            stops=fleet.stops,
        )
        found = [*violations(evidence), *driver.trouble]
        found += [trouble for follower in (*self.followers, *self.later) for trouble in follower.trouble]
        return found + [f"log: instance {each.number}: {line}" for each in fleet.instances for line in each.complaints]


async def followed(fleet: Fleet, work: Callable[[Walk], Awaitable[None]], seed: int) -> Walk:
    """Do the work while both feeds are followed; then read them to the end, and once more from the beginning."""
    since = datetime.now(UTC) - timedelta(minutes=1)
    walk = Walk(since, *([Follower(fleet, path, since, seed + n) for path in FEEDS] for n in range(2)))
    async with asyncio.TaskGroup() as tasks:
        for follower in walk.followers:
            tasks.create_task(follower.run())
        await work(walk)
        ended = datetime.now(UTC)
        for follower in (*walk.followers, *walk.later):
            follower.finish(ended)
    await asyncio.gather(*(follower.run() for follower in walk.later))
    return walk
