"""Assemble ingest: the path of pushes and submissions, over the appenders of one store."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from app.auth.tokens import TokenVerifier
from app.ingest.admission import Admission
from app.ingest.appends import AppendWatch
from app.ingest.intake import Intake
from app.ingest.pipeline import Pipeline
from app.ingest.proof import Proofs
from app.ingest.push import PushEndpoint
from app.ingest.submit import Submission, submit_routes
from app.ingest.writer import Writer
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.memory import trim_when_idle, trimmer
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.sink import Appender
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing

_FOR_BODIES = 0.25
"""The share of the grace period in which bodies may still arrive; the rest is for making them durable."""


class IngestService:
    """Makes pushed messages and submitted records durable.

    `appenders` are keyed by the table's name. `system` is the store's name in traces. `on_canary` is Pipeline's.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of all of ingest
        self,
        *,
        records: Table,
        rejects: Table,
        appenders: Mapping[str, Appender],
        verifier: TokenVerifier,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        tracing: Tracing,
        system: str,
        on_canary: Callable[[str, int], None] | None,
    ) -> None:
        self._clock, self._records, self._max_record_bytes = clock, records, settings.ingest.max_record_bytes
        self.admission = Admission(
            max_messages=settings.ingest.max_in_flight_messages, max_bytes=settings.ingest.max_in_flight_bytes
        )
        self.pipeline = Pipeline(
            table=records,
            records=appenders[records.name],
            rejects=appenders[rejects.name],
            settings=settings,
            clock=clock,
            metrics=metrics,
            watch_appends=AppendWatch(metrics, tracing, clock, system=system),
            on_canary=on_canary,
        )
        self._intake = Intake(
            self.admission,
            clock,
            max_body_bytes=settings.server.max_body_bytes,
            read_deadline_s=settings.ingest.request_budget_s,
        )
        self.push = PushEndpoint(
            verifier=verifier,
            intake=self._intake,
            pipeline=self.pipeline,
            proofs=Proofs(settings.auth.signing_secret, settings.auth.heartbeat_signature),
            metrics=metrics,
            tracing=tracing,
            clock=clock,
        )
        self.sinks: dict[str, Writer] = {records.name: self.pipeline.records, rejects.name: self.pipeline.rejects}
        """The writer of each table, by the table's name."""

    def routes(self) -> list[Any]:
        """Return the routes of submissions; the route by id only if the record type names an id."""
        submission = Submission(
            table=self._records,
            intake=self._intake,
            pipeline=self.pipeline,
            max_record_bytes=self._max_record_bytes,
        )
        return submit_routes(submission, self._records)

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """Return the background work."""
        admission = self.admission
        trim = trim_when_idle(lambda: admission.messages, lambda: admission.admitted, self._clock, trimmer())
        return [*self.pipeline.watches(), trim]

    async def drain(self, grace_s: float) -> None:
        """Admit no more requests, and wait at most `grace_s` seconds until the admitted ones are answered."""
        self.admission.draining = True
        begun_us = self._clock.elapsed_us()
        await self._intake.drain(grace_s * _FOR_BODIES)
        took_s = (self._clock.elapsed_us() - begun_us) / MICROSECONDS
        await self.pipeline.drain(max(grace_s - took_s, 0.0))
