"""Which part of each limit a rate of records takes, how far each limit goes, and which one gives first."""

from functools import cache

from app.telemetry.instruments import CATALOGUE
from bench.scaling import capacity, reads
from bench.scaling.limits import LIMITS, RETENTION_DAYS, SERIES_A_REQUEST, Whose
from bench.scaling.needs import Costs, Needs, measured_costs, needs

SEARCH_UP_TO = 10**9  # records a second: what bears so many bears any rate
FULL = 1.0
TIME_SERIES = sum(capacity.SERIES[each.name] if each.attributes else 1 for each in CATALOGUE)  # of an instance
METRIC_REQUESTS = -(-TIME_SERIES // SERIES_A_REQUEST)


@cache
def costs() -> Costs:
    """Return what was measured, read once."""
    return measured_costs()


def uses(load: Needs) -> dict[str, float]:
    """Return how much of each limit a load takes, in the limit's own unit."""
    row = costs().row_bytes
    return {
        "instances": load.instances,
        "most instances": load.instances,
        "vcpus": load.instances * capacity.VCPUS,
        "published": load.published_bytes_per_s,
        "pushed": load.published_bytes_per_s,
        "appended": load.appended_bytes_per_s,
        "appended in a region": load.appended_bytes_per_s,
        "connections": load.most_connections,
        "connections in a region": load.most_connections,
        "page": reads.hour_query_bytes(load.records_per_s, row),
        "look-up": reads.look_up_bytes(load.records_per_s),
        "metrics": load.instances * METRIC_REQUESTS * 60 / capacity.METRICS_EVERY_S,
        "partitions": RETENTION_DAYS * 24,
    }


def shares(rate_per_s: float, records: int = 1) -> dict[str, float]:
    """Return which part of each limit a rate takes."""
    return {name: LIMITS[name].share(use) for name, use in uses(needs(rate_per_s, records, costs())).items()}


def holds_up_to(name: str, records: int = 1) -> int | None:
    """Return the highest rate that a limit bears, in two digits; None where it bears any."""
    low, high = 0, SEARCH_UP_TO
    if shares(high, records)[name] <= FULL:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if shares(middle, records)[name] <= FULL else (low, middle)
    step = int(10 ** max(len(str(low)) - 2, 0))
    return low // step * step


def first(
    rate_per_s: float, whose: set[Whose], *, records: int = 1, is_regional: bool = False, of_reading: bool = False
) -> tuple[str, float]:
    """Return the limit, of those that these can raise, of which a rate takes the greatest part, and that part.

    Limits that any rate keeps are none of them; nor are those of a region, but for `is_regional`.
    """
    found = {
        name: share
        for name, share in shares(rate_per_s, records).items()
        if (limit := LIMITS[name]).whose in whose
        and limit.of_reading is of_reading
        and (is_regional or not limit.is_regional)
    }
    name = max(found, key=lambda each: found[each])
    return name, found[name]


def cost_per_million(rate_per_s: float, records: int) -> dict[str, float]:
    """Return what a million records cost, in dollars."""
    count = needs(rate_per_s, records, costs()).instances
    one = capacity.compute_dollars(0, capacity.MILLION / rate_per_s)  # there is always one instance
    return {**capacity.transport_dollars(capacity.MILLION), "compute": count * one}
