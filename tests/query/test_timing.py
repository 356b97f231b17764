"""What the Server-Timing header says."""

from contextlib import nullcontext
from typing import Any

import pytest

from app.query.answer.conditional import Timing
from sluice.testing.clock import FakeClock

_TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_METRIC = f"{_TOKEN}(?:;{_TOKEN}={_TOKEN})*"


@pytest.mark.parametrize(
    ("cache", "stages", "header"),
    [
        (
            "miss",
            [("store", 0.0123), ("", 0.0004), ("encode", 0.0004)],
            "store;dur=12.3, encode;dur=0.4, total;dur=13.1",
        ),
        ("miss", [("store", 0.5)] * 3, "store;dur=1500.0, total;dur=1500.0"),
        ("joined", [], "total;dur=0.0"),
    ],
    ids=["two stages", "one name thrice", "none"],
)
async def test_a_header_tells_the_cache_the_stages_and_the_total(
    cache: Any, stages: list[tuple[str, float]], header: str
) -> None:
    """In milliseconds, summed by name; what takes place outside of stages is in the total alone."""
    clock = FakeClock()
    timing = Timing(clock)
    for name, seconds in stages:
        with timing.stage(name) if name else nullcontext():
            await clock.advance(seconds)
    assert timing.header(cache) == f"cache;desc={cache}, {header}"


async def test_a_stage_that_fails_has_taken_its_time() -> None:
    """The error passes through."""
    clock = FakeClock()
    timing = Timing(clock)

    async def fail() -> None:
        with timing.stage("store"):
            await clock.advance(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert "store;dur=1000.0" in timing.header("miss")


def test_bytes_are_unknown_until_a_store_says_them() -> None:
    """None adds nothing, and a zero that was said is not unknown."""
    timing = Timing(FakeClock())
    known = []
    for count in (None, 0, 10, None, 5):
        timing.add_bytes(count)
        known.append(timing.bytes_processed)
    assert known == [None, 0, 10, 10, 15]
