"""Limits of patience follow the machine: longer where it is slow or shared, never shorter than was written."""

import pytest

from sluice.testing import pace


@pytest.fixture(autouse=True)
def measured_anew() -> None:
    """Forget what this process measured before."""
    pace.factor.cache_clear()


def test_a_limit_is_multiplied_by_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable scales every limit; a factor that is none is an error and not a limit of zero."""
    monkeypatch.setenv(pace.VARIABLE, "3.5")
    assert pace.patience_s(10) == 35
    pace.factor.cache_clear()
    monkeypatch.setenv(pace.VARIABLE, "0")
    with pytest.raises(ValueError, match="TEST_PACE=0: must be above 0"):
        pace.patience_s(10)


@pytest.mark.parametrize(
    ("wall_s", "factor"), [(0.01, 2.0), (0.1, 2.0), (0.5, 10.0), (1.0, 20.0), (60.0, 40.0)], ids=str
)
def test_the_factor_is_twice_what_the_machine_is_slower(wall_s: float, factor: float) -> None:
    """Within bounds: a fast machine still gets twice, and a limit stays one however slow the machine is."""
    assert pace.scaled(1_000_000, wall_s) == factor


def test_a_measurement_is_a_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable the machine is measured, once."""
    monkeypatch.delenv(pace.VARIABLE, raising=False)
    assert 2.0 <= pace.factor() <= 40.0
    assert pace.factor() == pace.factor()
