"""Assemble ingest: the path of pushes and submissions, over the appenders of one store."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from app.auth.tokens import TokenVerifier
from app.environment import Environment
from app.http.endpoint import routes_of
from app.ingest.decode.heavy import HeavyReads
from app.ingest.intake import Intake, StreamShares
from app.ingest.pipeline import Pipelines
from app.ingest.push import PushEndpoint
from app.ingest.submit import SUBMISSIONS, Submission
from app.ingest.write.dedupe import copies_after_seek
from app.runtime.memory import trim_when_idle, trimmer
from app.stores.backend import Backend
from app.stores.sink import Appender
from app.streams import RoutingTable, Streams


class IngestService:
    """Makes pushed messages and submitted records durable.

    `appenders` are keyed by the table's name, and `on_canary` is that of Pipelines.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of all of ingest
        self,
        environment: Environment,
        streams: Streams,
        backend: Backend,
        appenders: Mapping[str, Appender],
        *,
        verifier: TokenVerifier,
        on_canary: Callable[[str, int], None] | None,
    ) -> None:
        settings, clock = environment.settings, environment.clock
        self._clock, self._streams = clock, streams
        self._intake = Intake(
            clock,
            max_bytes=settings.ingest.max_in_flight_bytes,
            max_body_bytes=settings.server.max_body_bytes,
            read_deadline_s=settings.ingest.request_budget_s,
        )
        self.in_flight = self._intake.ledger
        self.pipelines = Pipelines(
            environment,
            streams,
            appenders,
            system=backend.system,
            heavy=HeavyReads(settings.store, settings.ingest, clock),
            earlier=copies_after_seek(settings, backend.runner, clock),
            # One account pushes the messages of all streams, so they share what a single caller may have.
            shares=StreamShares(self.in_flight.max_bytes_of_one) if streams.are_named else None,
            on_canary=on_canary,
        )
        self.push = PushEndpoint(environment, verifier, self._intake, RoutingTable(streams), self.pipelines.by_stream)

    def routes(self) -> list[Any]:
        """Return the routes of submissions."""
        by_name = {
            name: Submission(table=stream.table, intake=self._intake, pipeline=self.pipelines.by_stream[name])
            for name, stream in self._streams.by_name.items()
        }
        default = by_name[self._streams.default.name]
        return routes_of(SUBMISSIONS, default, by_name if self._streams.are_named else {})

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """Return the background work."""
        trim = trim_when_idle(lambda: self.in_flight.holdings, lambda: self._intake.admitted, self._clock, trimmer())
        return [*(writer.watch() for writer in self.pipelines.writers.values()), trim]

    async def drain(self, grace_s: float) -> None:
        """Admit no more requests, and wait at most `grace_s` seconds until the admitted ones are answered."""
        await self._intake.drain(grace_s)
        await self.pipelines.close()
