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
        url = f"{pubsub.issuer}/v1/projects/{pubsub.project}/topics/{pubsub.topic}:publish"
        async with self._system.session.post(url, json=body) as answer:
            answer.raise_for_status()


def compare(published: Iterable[str], stored: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the published records that the feed lacks, and those that it has once too often, or unpublished."""
    expected, found = Counter(published), Counter(stored)
    return sorted((expected - found).elements()), sorted((found - expected).elements())
