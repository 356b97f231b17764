"""Hand each message to the pipeline of its stream, within the share that the stream has of what is in flight."""

from collections.abc import Awaitable, Mapping
from typing import assert_never

import msgspec

from app.ingest.admission import MESSAGE_BYTES
from app.ingest.decode.envelope import Message
from app.ingest.pipeline import Pipeline, Receipt
from app.ingest.routing import Routed, RoutingTable, Unroutable
from app.ingest.shares import StreamShares
from app.ingest.verdict import Throttled
from app.runtime.ledger import Holding
from app.schema.protection import holds_personal_data
from app.streams import Streams


class Router:
    """Routes messages. A deployment with a single type has no shares: its stream may use everything."""

    def __init__(self, streams: Streams, pipelines: Mapping[str, Pipeline], shares: StreamShares) -> None:
        self._table, self._pipelines, self._shares = RoutingTable(streams), pipelines, shares
        self._default = pipelines[streams.default.name]
        self._only = None if streams.are_named else self._default
        self._is_any_personal = any(map(holds_personal_data, streams.tables))

    def process(self, message: Message, *, holding: Holding) -> Awaitable[Receipt]:
        """Make a pushed message durable in its stream, or among the rejects; return its receipt."""
        if self._only is not None and not message.route:
            return self._only.process(message, holding=holding)
        match self._table.route(message):
            case Routed(stream, may_be_personal):
                if may_be_personal:
                    message = msgspec.structs.replace(message, may_be_personal=True)
                return self._shared(self._pipelines[stream], message, holding)
            case Unroutable(detail):
                message = msgspec.structs.replace(message, unroutable=detail, may_be_personal=self._is_any_personal)
                return self._default.process(message, holding=holding)
            case route:
                assert_never(route)

    async def submit(self, message: Message, stream: str, *, digest: str, holding: Holding) -> Receipt:
        """Make a message that was sent to `stream` over HTTP durable, and return the result for each record."""
        pipeline = self._pipelines[stream]
        if self._only is not None:
            return await pipeline.process(message, digest=digest, detailed=True, holding=holding)
        return await self._shared(pipeline, message, holding, digest=digest, detailed=True)

    def _shared(
        self, pipeline: Pipeline, message: Message, holding: Holding, *, digest: str = "", detailed: bool = False
    ) -> Awaitable[Receipt]:
        """Process a message within the share of its stream; the result must be awaited at once.

        No frame here keeps the message while it waits for the store, as in `PushEndpoint.take`.
        """
        stream, size = pipeline.stream, max(len(message.data), MESSAGE_BYTES)
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
