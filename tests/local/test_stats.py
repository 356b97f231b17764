from hypothesis import given
from hypothesis import strategies as st

from sluice.local.stats import Latencies, PushStats


@given(st.lists(st.floats(1e-5, 100), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_percentiles_are_within_their_stated_error(values: list[float], fraction: float) -> None:
    """A percentile is within 2.5 % of the exact one."""
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    rank = next(n for n in range(1, len(values) + 1) if n >= fraction * len(values))
    exact = sorted(values)[rank - 1]
    assert abs(latencies.percentile_s(fraction) - exact) <= 0.025 * exact


def test_the_statistics_of_several_pushers_add_up() -> None:
    """Counts are summed, and percentiles are those of all latencies together."""
    one, other = PushStats(), PushStats()
    for stats, latency_s, status in ((one, 0.001, "204"), (other, 1.0, "503"), (other, 1.0, "204")):
        stats.delivered += 1
        stats.by_status[status] += 1
        stats.request.add(latency_s)
    whole = PushStats.of_all([one, other]).snapshot()
    assert (whole["delivered"], whole["by_status"]) == (3, {"204": 2, "503": 1})
    assert (whole["request_ms"]["count"], whole["request_ms"]["max"]) == (3, 1000)
    assert whole["request_ms"]["p50"] > 900
    assert one.delivered == 1, "they are not changed by it"


def test_a_snapshot_of_nothing_is_zeros() -> None:
    """Statistics can be asked for before anything was pushed."""
    snapshot = PushStats().snapshot()
    assert snapshot["delivered"] == 0
    assert snapshot["request_ms"] == {"count": 0, "p50": 0, "p90": 0, "p95": 0, "p99": 0, "max": 0}
