"""Assemble ingest: the path of pushes and submissions, over the appenders of one store."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from app.auth.tokens import TokenVerifier
from app.environment import Environment
from app.ingest.admission import Admission
from app.ingest.decode.heavy import HeavyReads
from app.ingest.decode.rejects import prefix_of
from app.ingest.dedupe import Dedupe
from app.ingest.earlier import EarlierCopies, copies_after_seek
from app.ingest.intake import Intake
from app.ingest.pipeline import Pipeline, Shared
from app.ingest.push import PushEndpoint
from app.ingest.reject_writer import RejectWriter
from app.ingest.router import Router
from app.ingest.shares import StreamShares
from app.ingest.submit import Submission, submit_routes
from app.ingest.write.append_watch import AppendWatch
from app.ingest.write.batching import BatchLimits, SharedTarget
from app.ingest.write.health import watch
from app.ingest.write.table_writer import TableWriter, WriterLimits
from app.runtime.clock import MICROSECONDS
from app.runtime.memory import trim_when_idle, trimmer
from app.stores.sink import Appender
from app.stores.source import QueryRunner
from app.streams import Streams

_FOR_BODIES = 0.25
"""The share of the grace period in which bodies may still arrive; the rest is for making them durable."""


class Pipelines:
    """The pipelines of all streams, by name, and what they share: a memory, reads of heavy messages, and the rejects.

    `appenders` are keyed by the table's name, and `system` is the store's name in traces. `earlier` and `on_canary` are
    those of Pipeline. Without `heavy`, the event loop reads heavy messages, too.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of all of ingest
        self,
        environment: Environment,
        streams: Streams,
        appenders: Mapping[str, Appender],
        *,
        system: str,
        heavy: HeavyReads | None = None,
        earlier: EarlierCopies | None = None,
        on_canary: Callable[[str, int], None] | None = None,
    ) -> None:
        rejects, limits = streams.rejects, environment.settings.ingest
        self._clock, self._heavy = environment.clock, heavy
        self._appenders = {table.name: appenders[table.name] for table in (*streams.tables, rejects)}
        writer_limits = WriterLimits(
            batch=BatchLimits(max_rows=limits.max_batch_rows, max_bytes=limits.max_batch_bytes),
            append_deadline_s=environment.settings.store.append_deadline_s,
            max_open_bytes=limits.max_in_flight_bytes,
            stuck_s=limits.stuck_s,
        )
        target, watch_appends = SharedTarget(), AppendWatch(environment, system=system)
        self.writers = {
            name: TableWriter(
                appender,
                environment.clock,
                writer_limits,
                table=name,
                watch=watch_appends,
                shared=None if name == rejects.name else target,  # rejects have a target of their own
            )
            for name, appender in self._appenders.items()
        }
        """The writer of each table, by the table's name."""
        shared = Shared(
            environment=environment,
            dedupe=Dedupe(
                max_weight=limits.dedupe_max_messages,
                max_age_s=environment.settings.query.dedupe_lookback_s,
                elapsed_us=environment.clock.elapsed_us,
            ),
            rejects=RejectWriter(
                self.writers[rejects.name],
                self._appenders[rejects.name].encoder,
                environment,
                max_batch_bytes=limits.max_batch_bytes,
                earlier=earlier,
            ),
            heavy=heavy,
            earlier=earlier,
        )
        self.by_stream = {
            table.name: Pipeline(
                shared,
                table,
                self._appenders[table.name].encoder,
                self.writers[table.name],
                prefix="" if table is streams.default.table else prefix_of(table.name),
                on_canary=on_canary if table is streams.default.table else None,
            )
            for table in streams.tables
        }

    @property
    def default(self) -> Pipeline:
        """The pipeline of the default stream."""
        return next(iter(self.by_stream.values()))

    def watches(self) -> list[Coroutine[Any, Any, None]]:
        """Return the background work: a monitor for each table."""
        return [watch(self.writers[name], appender, self._clock) for name, appender in self._appenders.items()]

    async def drain(self, grace_s: float) -> None:
        """Wait until every message is answered; those still open after `grace_s` seconds get Unavailable."""
        until_us = self._clock.elapsed_us() + round(grace_s * MICROSECONDS)
        for pipeline in self.by_stream.values():
            await pipeline.idle(until_us)
        if self._heavy is not None:
            await self._heavy.close()
        await asyncio.gather(*(writer.close() for writer in self.writers.values()))


class IngestService:
    """Makes pushed messages and submitted records durable.

    `appenders` are keyed by the table's name. `runner` looks up the messages of a declared seek. `system` and
    `on_canary` are those of Pipelines.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of all of ingest
        self,
        environment: Environment,
        streams: Streams,
        appenders: Mapping[str, Appender],
        *,
        runner: QueryRunner,
        verifier: TokenVerifier,
        system: str,
        on_canary: Callable[[str, int], None] | None,
    ) -> None:
        settings, clock = environment.settings, environment.clock
        self._clock, self._streams, self._max_record_bytes = clock, streams, settings.ingest.max_record_bytes
        self.admission = Admission(settings.ingest.max_in_flight_bytes)
        self.pipelines = Pipelines(
            environment,
            streams,
            appenders,
            system=system,
            heavy=HeavyReads(settings.store, settings.ingest, clock),
            earlier=copies_after_seek(settings, runner, clock),
            on_canary=on_canary,
        )
        # One account pushes the messages of all streams, so they share what a single caller may have.
        shares = StreamShares(self.admission.ledger.max_bytes_of_one)
        self._router = Router(streams, self.pipelines.by_stream, shares)
        self._intake = Intake(
            self.admission,
            clock,
            max_body_bytes=settings.server.max_body_bytes,
            read_deadline_s=settings.ingest.request_budget_s,
        )
        self.push = PushEndpoint(environment, verifier, self._intake, self._router)
        self.sinks: dict[str, TableWriter] = self.pipelines.writers
        """The writer of each table, by the table's name."""

    def routes(self) -> list[Any]:
        """Return the routes of submissions; the route by id only if the record type names an id."""
        submissions = {
            name: Submission(
                table=stream.table,
                intake=self._intake,
                router=self._router,
                pipeline=self.pipelines.by_stream[name],
                max_record_bytes=self._max_record_bytes,
            )
            for name, stream in self._streams.by_name.items()
        }
        return submit_routes(submissions, self._streams)

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """Return the background work."""
        admission = self.admission
        trim = trim_when_idle(lambda: admission.messages, lambda: admission.admitted, self._clock, trimmer())
        return [*self.pipelines.watches(), trim]

    async def drain(self, grace_s: float) -> None:
        """Admit no more requests, and wait at most `grace_s` seconds until the admitted ones are answered."""
        self.admission.draining = True
        begun_us = self._clock.elapsed_us()
        await self._intake.drain(grace_s * _FOR_BODIES)
        took_s = (self._clock.elapsed_us() - begun_us) / MICROSECONDS
        await self.pipelines.drain(max(grace_s - took_s, 0.0))
