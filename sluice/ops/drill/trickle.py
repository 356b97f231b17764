"""A steady trickle of records, and their comparison with the feed."""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from sluice.ops.drill.system import System

PERIOD_S = 0.2


class Trickle:
    """Publishes a record each `PERIOD_S`, as a producer that knows nothing of the trouble."""

    def __init__(self, system: System) -> None:
        self.country = "NO"
        self.published: list[str] = []
        self._system = system

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            # The one that was begun is finished, so that no published record is missing from the list.
            await asyncio.shield(self._publish())
            await asyncio.sleep(PERIOD_S)

    async def _publish(self) -> None:
        pubsub = self._system.pubsub
        name = f"drill-{len(self.published)}"
        record = {"id": name, "placed_time": datetime.now(UTC), "country": self.country, "total_cents": 4200}
        body = {"messages": [{"data": b64encode(msgspec.json.encode(record)).decode()}]}
        self.published.append(name)
        url = f"http://{pubsub.pubsub}/v1/projects/{pubsub.project}/topics/{pubsub.topic}:publish"
        async with self._system.session.post(url, json=body) as answer:
            answer.raise_for_status()


class Comparison(msgspec.Struct, frozen=True):
    """The published records that the feed lacks, has more than once, or has without their publication."""

    missing: tuple[str, ...]
    repeated: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether every published record is in the feed exactly once, and nothing else is."""
        return not (self.missing or self.repeated or self.unknown)


def compare(published: Iterable[str], stored: Iterable[str]) -> Comparison:
    """Compare what was published with what the feed has."""
    expected, counts = set(published), Counter(stored)
    return Comparison(
        missing=tuple(sorted(expected - counts.keys())),
        repeated=tuple(sorted(name for name, count in counts.items() if count > 1)),
        unknown=tuple(sorted(counts.keys() - expected)),
    )
