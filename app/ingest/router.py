"""Hand each message to the pipeline of its stream, within the share that the stream has of what is in flight."""

from collections.abc import Awaitable, Mapping

import msgspec

from app.ingest.envelope import Message
from app.ingest.pipeline import Pipeline, Receipt
from app.ingest.routing import Route, Routed, RoutingTable, Unroutable, route_at_once, route_in_steps
from app.ingest.shares import StreamShares
from app.ingest.time_slicing import CooperativeRunner
from app.ingest.verdict import Throttled, Unavailable
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.ledger import Holding
from app.settings.ingest import IngestSettings
from app.streams import Streams


class Router:
    """Routes messages. A deployment with a single type has no shares: its stream may use everything."""

    def __init__(  # noqa: PLR0913 - what every message needs
        self,
        streams: Streams,
        pipelines: Mapping[str, Pipeline],
        *,
        cooperative: CooperativeRunner,
        shares: StreamShares,
        limits: IngestSettings,
        clock: Clock,
    ) -> None:
        self._table, self._pipelines, self._cooperative = RoutingTable(streams), pipelines, cooperative
        self._default = pipelines[streams.default.name]
        self._only = None if streams.are_named else self._default
        self._limits, self._clock, self._shares = limits, clock, shares

    def process(self, message: Message, *, holding: Holding) -> Awaitable[Receipt]:
        """Make a pushed message durable in its stream, or among the rejects; return its receipt."""
        if self._only is not None and not message.route:
            return self._only.process(message, holding=holding)
        route = route_at_once(self._table, message)
        if isinstance(route, Routed):
            return self._shared(self._pipelines[route.stream], message, holding)
        return self._route(message, route, holding)

    async def submit(self, message: Message, stream: str, *, digest: str, holding: Holding) -> Receipt:
        """Make a message that was sent to `stream` over HTTP durable, and return the result for each record."""
        pipeline = self._pipelines[stream]
        if self._only is not None:
            return await pipeline.process(message, digest=digest, detailed=True, holding=holding)
        return await self._shared(pipeline, message, holding, digest=digest, detailed=True)

    async def _route(self, message: Message, route: Route | None, holding: Holding) -> Receipt:
        """Process a message whose stream takes steps to find, or that no stream takes."""
        if route is None:
            deadline_us = self._clock.elapsed_us() + round(self._limits.request_budget_s * MICROSECONDS)
            steps = route_in_steps(self._table, message, self._limits)
            outcome = await self._cooperative.run(steps, deadline_us, holding, size=len(message.data))
            if isinstance(outcome, Unavailable | Throttled):
                return Receipt(outcome)
            route = outcome
        if isinstance(route, Unroutable):
            unroutable = msgspec.structs.replace(message, unroutable=route.detail)
            return await self._default.process(unroutable, holding=holding)
        return await self._shared(self._pipelines[route.stream], message, holding)

    def _shared(
        self, pipeline: Pipeline, message: Message, holding: Holding, *, digest: str = "", detailed: bool = False
    ) -> Awaitable[Receipt]:
        """Process a message within the share of its stream; the result must be awaited at once.

        No frame here keeps the message while it waits for the store, as in `PushEndpoint.take`.
        """
        stream, size = pipeline.stream, len(message.data)
        if not self._shares.enter(stream, size):
            return _refused(stream)
        return self._leaving(stream, size, pipeline.process(message, digest=digest, detailed=detailed, holding=holding))

    async def _leaving(self, stream: str, size: int, processing: Awaitable[Receipt]) -> Receipt:
        try:
            return await processing
        finally:
            self._shares.leave(stream, size)


async def _refused(stream: str) -> Receipt:
    return Receipt(Throttled(f"too many messages of the stream {stream} are in flight on this instance", _RETRY_S))


_RETRY_S = 1.0
