"""Wire the query side together, over the runner of one store."""

from litestar.handlers import HTTPRouteHandler
from litestar.stores.base import Store

from app.query.cache import Cache
from app.query.endpoints.routes import query_routes
from app.query.feed import Feed
from app.query.instrumented_source import InstrumentedSource, QueryWatch
from app.query.reads import Reads
from app.query.source_health import SourceHealth
from app.runtime.clock import Clock
from app.runtime.ledger import Ledger
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.eraser import Eraser
from app.stores.source import QueryRunner
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing

_ENDING_S = 1.5


class QueryService:
    """Serves reads.

    `answers` is the store of cached responses, `cache_namespace` names the data, and `system` the store in traces.
    `ledger` accounts for the memory that responses hold.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of the whole query side
        self,
        *,
        records: Table,
        rejects: Table,
        runner: QueryRunner,
        eraser: Eraser,
        answers: Store,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        tracing: Tracing,
        cache_namespace: str,
        system: str,
        ledger: Ledger,
    ) -> None:
        self._records, self._rejects, self._settings = records, rejects, settings
        self._clock, self._metrics, self._cache_namespace = clock, metrics, cache_namespace
        self._ledger, self._eraser, self.answers = ledger, eraser, answers
        self.health = SourceHealth(clock.now_us)
        """The health of reads from the store."""
        self.runner = InstrumentedSource(runner, QueryWatch(metrics, tracing, self.health, clock, system=system))
        self.reads = Reads(clock)

    def feed(self) -> Feed:
        """Return a feed of the records."""
        return Feed(self.runner, self._records, lookback_s=self._settings.query.dedupe_lookback_s)

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the query routes."""
        return query_routes(
            settings=self._settings,
            clock=self._clock,
            records=self._records,
            rejects=self._rejects,
            runner=self.runner,
            cache=Cache(self.answers, self._clock, max_entry_bytes=self._settings.query.cache_max_bytes // 8),
            metrics=self._metrics,
            cache_namespace=self._cache_namespace,
            reads=self.reads,
            ledger=self._ledger,
            erasures=lambda: self._eraser.generation,
        )

    async def drain(self, grace_s: float) -> None:
        """Wait for reads in progress, at most `grace_s` seconds minus the time to cancel a read.

        A cancelled read loses no record, and ingest needs its share of the grace.
        """
        await self.reads.drain(self.grace_s(grace_s))

    @staticmethod
    def grace_s(grace_s: float) -> float:
        """Return the part of the grace in which reads may continue."""
        return max(grace_s - _ENDING_S, 0.0)
