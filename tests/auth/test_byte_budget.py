"""The budget of billed bytes: what is charged to whom, and when reads are refused."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.auth.grants import ALL_SCOPES, Principal
from app.auth.limits import ByteBudget, context_of_the_payer
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import DAY_US
from app.settings.fields import MIB
from sluice.testing.clock import FakeClock

NOON_US = 1_700_000_000 * MICROSECONDS // DAY_US * DAY_US + DAY_US // 2


class Door:
    """A budget, and reads of named callers that are billed so many MiB."""

    def __init__(self, limit: int) -> None:
        self.clock, self.refusals = FakeClock(NOON_US), Counter[str]()
        self.budget = ByteBudget(limit * MIB, self.clock, self.refusals)

    async def read(self, caller: str, size: int) -> ProblemError | None:
        """Return why a read is refused; None once it was billed, in a task of its own as every request is."""

        async def charge() -> None:
            self.budget.charge(size * MIB)

        async def request() -> ProblemError | None:
            try:
                self.budget.admit(Principal(caller, ALL_SCOPES))
            except ProblemError as refused:
                return refused
            await asyncio.create_task(charge())  # as a chunk is read for a page
            return None

        return await asyncio.create_task(request())


READS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 60_000)), max_size=30)


@given(reads=READS, limit=st.integers(0, 150))
def test_a_read_is_refused_exactly_while_a_sum_is_used_up(reads: list[tuple[str, int, int]], limit: int) -> None:
    """The twin keeps every charge and adds up those of the day, of all and of the caller, who has three quarters."""

    async def play() -> None:
        door, charges = Door(limit), list[tuple[str, int, int]]()
        for caller, size, pause_s in reads:
            await door.clock.advance(pause_s)
            day = door.clock.now_us() // DAY_US
            today = [(who, billed) for who, billed, at_us in charges if at_us // DAY_US == day]
            own = sum(billed for who, billed in today if who == caller)
            used_up = limit > 0 and (sum(billed for _, billed in today) >= limit or own * 4 >= limit * 3)
            refused = await door.read(caller, size)
            assert (refused is not None) is used_up
            if refused is None:
                charges.append((caller, max(size, 10), door.clock.now_us()))  # BigQuery bills 10 MB at least

    asyncio.run(play())


async def test_what_outlives_a_request_is_still_paid_by_its_caller() -> None:
    """As the poll of a tail is, which reads for all subscribers."""
    door = Door(100)

    async def poll() -> None:
        door.budget.charge(80 * MIB)

    async def subscribe() -> None:
        door.budget.admit(Principal("a", ALL_SCOPES))
        await asyncio.create_task(poll(), context=context_of_the_payer())

    await asyncio.create_task(subscribe())
    assert await door.read("b", 1) is None
    assert await door.read("a", 1) is not None
