"""Growth is told from noise: slopes of samples that are made up."""

import random

import msgspec
import pytest

from sluice.testing.instance import Resources
from tests.soak.faults import Inside
from tests.soak.growth import MIB, TOLERANCES, Tolerance, after_warm_up, slope, trend
from tests.soak.report import failures, parts, summary
from tests.soak.run import Sample, Soaked, wrong_puts

HALF_AN_HOUR = [float(second) for second in range(0, 1_800, 5)]
RSS = TOLERANCES["rss_bytes"]


def noisy(per_s: float, *, spread: float = 3 * MIB, spikes: int = 0) -> list[tuple[float, float]]:
    """Return half an hour of samples that grow at a rate, with noise, and a few that are far too high."""
    dice = random.Random(14)
    samples = [(at_s, 200 * MIB + per_s * at_s + dice.uniform(-spread, spread)) for at_s in HALF_AN_HOUR]
    for number in dice.sample(range(len(samples)), spikes):
        samples[number] = (samples[number][0], 400.0 * MIB)
    return samples


def test_noise_and_bursts_are_flat() -> None:
    """Neither what goes up and down nor a burst now and then is growth."""
    assert trend("rss_bytes", noisy(0.0), RSS).is_flat
    assert trend("rss_bytes", noisy(0.0, spikes=30), RSS).is_flat
    assert trend("rss_bytes", noisy(-0.01 * MIB), RSS).is_flat


def test_a_leak_is_found_in_noise() -> None:
    """A megabyte a minute is beyond what is tolerated, bursts or not."""
    for per_minute in (2.0, 1.0):
        found = trend("rss_bytes", noisy(per_minute * MIB / 60, spikes=30), RSS)
        assert not found.is_flat
        assert found.growth == pytest.approx(per_minute * 1_795 / 60 * MIB, rel=0.2)


def test_what_fills_at_first_is_not_growth() -> None:
    """Samples of the warm-up are left out, by time and not by number."""
    filling = [(at_s, min(at_s / 600, 1.0) * 100 * MIB) for at_s in HALF_AN_HOUR]
    assert not trend("rss_bytes", after_warm_up(filling, 0.0)[:120], Tolerance(MIB, 0)).is_flat
    assert trend("rss_bytes", after_warm_up(filling, 1 / 3), Tolerance(MIB, 0)).growth == 0
    assert after_warm_up([], 0.5) == []


def test_a_slope_needs_two_moments() -> None:
    """Of one sample, or several of one moment, there is none."""
    assert slope([(1.0, 5.0)]) == slope([(1.0, 5.0), (1.0, 9.0)]) == 0.0


def test_tolerance_is_an_amount_or_a_share() -> None:
    """Whichever is more: a large level may vary by more than a small one."""
    assert trend("x", [(0.0, 100.0), (3_600.0, 101.0)], Tolerance(2, 0)).is_flat
    assert trend("x", [(0.0, 1_000.0), (3_600.0, 1_050.0)], Tolerance(2, 0.1)).is_flat
    assert not trend("x", [(0.0, 10.0), (3_600.0, 15.0)], Tolerance(2, 0.1)).is_flat


def sample(at_s: float, *, tasks: int = 20, rss: int = 200 * MIB) -> Sample:
    """Return a sample."""
    inside = Inside(
        tasks=tasks,
        blocks=1_000,
        malloc_used=30 * MIB,
        malloc_free=10 * MIB,
        malloc_mapped=MIB,
        duckdb={"BASE_TABLE": 5 * MIB},
        faults={},
    )
    return Sample(at_s, Resources(rss, rss, 50, 20), inside)


def test_a_soak_fails_when_anything_grows_or_is_wrong() -> None:
    """And says what; one that is flat and exact does not fail."""
    flat = Soaked(
        samples=[sample(at_s) for at_s in HALF_AN_HOUR],
        tidied=[sample(1_800)],
        wrong=[],
        counts={"messages": {"204": 3}},
    )
    assert failures(flat) == []
    growing = [sample(at_s, tasks=round(20 + at_s)) for at_s in HALF_AN_HOUR]
    assert failures(msgspec.structs.replace(flat, samples=growing, wrong=["lost"])) == [
        "tasks is not flat",
        "1 things are wrong",
    ]
    assert "tasks: GROWS" in summary(msgspec.structs.replace(flat, samples=growing))
    assert "rss_bytes: flat: 200.0 MiB" in summary(flat)
    assert "3 204" in summary(flat)


def test_memory_is_told_by_its_parts() -> None:
    """What no allocator tells of is the rest."""
    assert parts(sample(0.0)) == {"resident": 200, "malloc in use": 31, "malloc free": 10, "duckdb": 5, "other": 154}


def test_versions_that_were_put_are_in_the_feed_once() -> None:
    """One that is missing or there twice is named; rows of others are no concern."""
    rows = [{"id": "soak-put-1", "data": {"n": n}} for n in (1, 2, 2)] + [{"id": "other", "data": None}]
    assert list(wrong_puts({"soak-put-1": [1]}, rows)) == []
    assert list(wrong_puts({"soak-put-1": [1, 2, 3]}, rows)) == [
        "put: version 2 of soak-put-1 is 2 times in the feed",
        "put: version 3 of soak-put-1 is 0 times in the feed",
    ]
