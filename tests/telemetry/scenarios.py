"""What a service counts in a minute while it is well, and in each kind of trouble, by the service's own metrics.

That each thing is counted as it happens is proved by test_catalogue.py and test_requests.py. A phase is what came
between two scrapes.
"""

from collections.abc import Iterator

import msgspec

from app.stores.sink import SinkState
from app.telemetry import instruments
from app.telemetry.metrics import Metrics, Values
from app.telemetry.prometheus import PrometheusCollector

Series = tuple[str, tuple[tuple[str, str], ...]]
Samples = dict[Series, float]
"""The value of each series, as Prometheus names and labels them."""
_TARGET = {"project_id": "p", "location": "europe-west1", "namespace": "sluice", "instance": "a1"}
_LATE_S, _SLOW_S = 400.0, 3.0


class Phase(msgspec.Struct, frozen=True):
    """What was scraped before and after; gauges are the names of series that are no counters."""

    before: Samples
    after: Samples
    gauges: frozenset[str]


class _Service:
    """The metrics of a service, and what it does to them."""

    def __init__(self) -> None:
        self.metrics, self.state = Metrics(), SinkState.ACTIVE
        self.metrics.gauges = {
            instruments.SINK_STATE: self._states,
            instruments.SINK_OLDEST_WAIT: lambda: [(0, {"table": "records"})],
            instruments.IN_FLIGHT_MESSAGES: lambda: [(0, {})],
        }

    def _states(self) -> Values:
        return [(float(each is self.state), {"table": "records", "state": each.value}) for each in SinkState]

    def scrape(self) -> Samples:
        samples = [each for family in PrometheusCollector(self.metrics, {}).collect() for each in family.samples]
        return {(each.name, tuple(sorted((each.labels | _TARGET).items()))): each.value for each in samples}

    def push(self, count: int, delay_s: float = 1.0, *, rejected: bool = False) -> None:
        for _ in range(count):
            self.metrics.message_delay.record(delay_s, "records")
            self.metrics.append_duration.record(0.01, "records", "stored")
            self.metrics.append_size.record(300, "records")
            self.metrics.request_duration.record(0.02, "/pubsub/push", "POST", 204, "push")
        self.metrics.stored_records["records"] += 0 if rejected else count
        self.metrics.rejected_records["invalid", "records"] += count if rejected else 0

    def push_in_vain(self) -> None:
        self.metrics.append_duration.record(0.01, "records", "setup")
        self.metrics.request_duration.record(20.0, "/pubsub/push", "POST", 503, "push")

    def read(self, took_s: float = 0.01, status: int = 200, *, size: int = 1_000) -> None:
        for _ in range(12):
            self.metrics.request_duration.record(took_s, "/v1/records", "GET", status, "read")
            self.metrics.query_duration.record(took_s, "page", "ok" if status == 200 else "unavailable")
            self.metrics.query_bytes["page"] += size
            self.metrics.cache_answers["miss"] += 1

    def live(self) -> Iterator[str]:
        """Live through every phase; yield its name at its end."""
        yield "idle"
        self.push(20)
        self.read()
        self.metrics.canary_delay.record(2.0)
        yield "good"
        self.push(12, rejected=True)
        yield "rejecting"
        self.read(size=1_000_000)
        yield "expensive"
        self.read(_SLOW_S)
        yield "slow"
        self.read(status=503)
        yield "failing"
        self.push(1)
        self.metrics.canaries_missed += 1
        yield "unseen"
        self.push(20, _LATE_S)
        yield "late"
        self.push(1, _LATE_S)
        self.metrics.canary_delay.record(_LATE_S)
        yield "late-canaries"
        self.push(20, _LATE_S)
        self.metrics.canary_delay.record(_LATE_S)
        yield "draining"
        for name, self.state in (
            ("missing", SinkState.NOT_FOUND),
            ("unreachable", SinkState.UNREACHABLE),
            ("lacking", SinkState.COLUMNS_PENDING),
        ):
            self.push_in_vain()
            yield name
        self.state = SinkState.UNREACHABLE
        self.push_in_vain()
        self.read(status=503)
        yield "outage"


def record() -> dict[str, Phase]:
    """Return the phases by name."""
    service, phases = _Service(), dict[str, Phase]()
    gauges = frozenset(each.name for each in instruments.CATALOGUE if each.kind == "gauge")
    before = service.scrape()
    for name in service.live():
        after = service.scrape()
        phases[name], before = Phase(before, after, gauges), after
    return phases
