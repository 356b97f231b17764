"""The verdict on an attack: each way to break what must hold is named, and nothing else is."""

from typing import Any

import msgspec
import pytest

from tests.attack.verdict import NEVER_S, Evidence, Felt, Phase, Sample, broken, felt, recovery_s

QUICK = Felt(100, 0.01, 0.05, 0)
CALM = Phase(QUICK, QUICK, QUICK)
GOOD = Evidence(
    before=CALM,
    during=CALM,
    after=CALM,
    peak_bytes=200 * 1024 * 1024,
    missing=(),
    repeated=(),
    recovery_s=0.0,
    alive=True,
    complaints=(),
    own_lag_s=0.0,
)


def slow(**seconds: float) -> Phase:
    """Return a phase in which these neighbours had another p99."""
    changed = {name: Felt(100, 0.01, value, 0) for name, value in seconds.items()}
    return msgspec.structs.replace(CALM, **changed)


def test_nothing_is_broken_where_everything_holds() -> None:
    """Figures at their limits hold; memory that nobody can see is not judged."""
    assert broken(GOOD) == []
    at_limits = {"liveness": 1.0, "producer": 1.05, "reader": 1.05}
    edge = msgspec.structs.replace(GOOD, during=slow(**at_limits), peak_bytes=512 * 1024 * 1024, recovery_s=5.0)
    assert broken(edge) == []
    assert broken(msgspec.structs.replace(GOOD, peak_bytes=None)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"during": slow(liveness=1.01)}, "liveness took"),
        ({"during": slow(producer=1.06)}, "the producer took"),
        ({"during": slow(reader=1.06)}, "the reader took"),
        ({"recovery_s": 5.1}, "full service came"),
        ({"peak_bytes": 513 * 1024 * 1024}, "memory reached 513 MiB"),
        ({"missing": ["a"]}, "1 acknowledged messages are missing, such as a"),
        ({"repeated": ["b"]}, "1 records came twice"),
        ({"alive": False}, "the process ended"),
        ({"complaints": ["Traceback"]}, "the log has 1 lines"),
    ],
)
def test_each_broken_promise_is_named(changed: dict[str, Any], said: str) -> None:
    """One sentence for the one thing that is wrong."""
    (sentence,) = broken(msgspec.structs.replace(GOOD, **changed))
    assert sentence.startswith(said)


def test_a_process_that_is_stopped_is_judged_by_what_comes_afterwards() -> None:
    """Nobody answers for a stopped process; that it comes back, and with everything, is asked all the same."""
    stopped = msgspec.structs.replace(GOOD, during=slow(liveness=40.0, producer=40.0), is_silence=True)
    assert broken(stopped) == []
    assert len(broken(msgspec.structs.replace(stopped, recovery_s=6.0, missing=["a"]))) == 2


def test_what_was_never_served_counts_as_never() -> None:
    """A request that was given up after a moment is not a quick one."""
    summed = felt([Sample(0.0, 0.01), Sample(1.0, 0.2, served=False)])
    assert summed == Felt(2, NEVER_S, NEVER_S, 1)
    assert felt([]) == Felt(0, 0.0, 0.0, 0)


def test_service_is_full_again_when_the_last_late_request_is_over() -> None:
    """Requests of the attack's time count by when they ended, those before its end and quick ones not at all."""
    liveness = [Sample(8.0, 1.5), Sample(9.0, 3.0), Sample(20.0, 0.1)]
    pushes = [Sample(9.5, 4.0), Sample(30.0, 1.1)]
    assert recovery_s(10.0, liveness[:1], [], 0.2) == 0.0
    assert recovery_s(10.0, liveness, [], 0.2) == 2.0
    assert recovery_s(10.0, liveness, pushes, 0.2) == 3.5
    assert recovery_s(10.0, [], [Sample(10.0, 0.5, served=False)], 0.2) == 0.5
