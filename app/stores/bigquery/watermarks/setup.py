"""Make the writer and the reader of watermarks from the settings."""

from collections.abc import Awaitable, Callable

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import SECOND_US
from app.settings.load import Settings
from app.settings.store import StoreSettings
from app.stores.bigquery.watermarks.announcing import Announcing
from app.stores.bigquery.watermarks.horizons import Horizons
from app.stores.bigquery.watermarks.marks import encode, envelope
from app.stores.bigquery.watermarks.rules import Limits, Mark
from app.stores.query import poll_grid_us
from app.stores.sink import Appender, Outcome
from app.stores.source import Answer
from app.stores.sql.statement import Statement

SILENT_US, LEASE_US = 12 * SECOND_US, 120 * SECOND_US


def limits_of(store: StoreSettings) -> Limits:
    """Return the times that writers and readers agree on; all instances must have the same settings."""
    return Limits(
        append_deadline_us=round(store.append_deadline_s * MICROSECONDS),
        margin_us=round(store.late_commit_margin_s * MICROSECONDS),
        skew_us=round(store.clock_skew_s * MICROSECONDS),
        settle_us=round(store.settle_s * MICROSECONDS),
        silent_us=SILENT_US,
        lease_us=LEASE_US,
    )


def announcing_of(settings: Settings, clock: Clock, appender: Appender, instance: str) -> Announcing:
    """Return what announces `instance` through the appender of the table of marks."""
    encoder = appender.encoder(envelope())

    async def append(mark: Mark) -> Outcome:
        return await appender.append([encode(encoder, mark)])

    return Announcing(instance, limits_of(settings.store), clock, append)


def horizons_of(settings: Settings, clock: Clock, read: Callable[[Statement], Awaitable[Answer]]) -> Horizons:
    """Return what reads the marks of all instances, once a poll, as `read` runs a statement."""
    interval_us = poll_grid_us(round(settings.query.poll_s * MICROSECONDS))
    return Horizons(limits_of(settings.store), clock, read, interval_us / MICROSECONDS)
