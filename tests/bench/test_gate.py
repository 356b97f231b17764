"""The gate: what it compares, and that it can fail."""

import pytest

from bench.gate import COST_OF_WAITING, RATE_OF_WAITING, ROUTE, ROWS_OF_MANY, WAITING, findings
from bench.ingest.cells import Cell, Round
from bench.ingest.compare import FIRST, MANY
from bench.ingest.contenders import SLUICE


def rounds(*rates: float, records: int = 1, cpu_us: float = 50.0) -> list[Round]:
    """Return rounds of so many messages a second."""
    return [Round(rate, rate * records, cpu_us, 1.0, 0.1, 30.0, 40.0) for rate in rates]


def cells(**changed: list[Round]) -> list[Cell]:
    """Return what a run may find."""
    found = {
        (WAITING, FIRST): rounds(10_000, 12_000, 14_000, cpu_us=30.0),
        (ROUTE, FIRST): rounds(9_000, 9_000, 9_000),
        (SLUICE, FIRST): rounds(9_000, 9_000, 9_000, cpu_us=60.0),
        (WAITING, MANY): rounds(1, 1, 1),
        (ROUTE, MANY): rounds(1, 1, 1),
        (SLUICE, MANY): rounds(900, 900, 900, records=100),
    }
    found[SLUICE, FIRST] = changed.get("ours", found[SLUICE, FIRST])
    return [Cell(name, case, each) for (name, case), each in found.items()]


def test_ratios_are_taken_within_a_round_and_their_median_counts() -> None:
    """A machine that is slower for a while is so for both of a pair."""
    found = findings(cells())
    assert found[RATE_OF_WAITING] == pytest.approx(0.75)  # of 0.9, 0.75 and 0.64
    assert found[COST_OF_WAITING] == pytest.approx(2.0)
    assert found[ROWS_OF_MANY] == pytest.approx(10.0)


@pytest.mark.parametrize("strict", [False, True])
def test_a_slower_service_breaks_it(strict: bool) -> None:  # noqa: FBT001 - a case of the test
    """In every bound that speaks of it, and says by what."""
    found = findings(cells(ours=rounds(4_000, 4_000, 4_000, cpu_us=120.0)))
    assert not RATE_OF_WAITING.holds(found[RATE_OF_WAITING], strict=strict)
    assert not COST_OF_WAITING.holds(found[COST_OF_WAITING], strict=strict)
    assert COST_OF_WAITING.told(found[COST_OF_WAITING], strict=strict).startswith("BROKEN")
    assert "at most" in COST_OF_WAITING.told(4.0, strict=strict)


def test_the_strict_bounds_are_the_narrower_ones() -> None:
    """Whatever passes at night passes by day."""
    for bound in findings(cells()):
        assert (bound.strict < bound.loose) == bound.at_most
