"""The table of erasures: by digests of ids, so that mirrors can erase the same records.

It has no contents and no ids, but anyone who can guess an id can test it against the digests.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from app.schema.table import Table, records_table
from app.stores.sink import NO_MESSAGE, Appender, Stored
from app.stores.source import StoreUnavailableError

ERASURES = "_erasures"  # no stream may have this name
_ATTEMPTS = 3


class ErasedRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The erasure of one record: of its versions stamped later than `until`, none was erased."""

    stream: Annotated[str, Meta(description="The stream of the record.")]
    digest: Annotated[str, Meta(description="The SHA-256 of the record's id, in hexadecimal digits.")]
    until: Annotated[datetime, Meta(tz=True, description="Every version whose `ingest_time` is not later was erased.")]


def erasures_table(tables: Sequence[Table] = (), default_retention_days: int = 1) -> Table:
    """Return the table of erasures, which are kept as long as any record of `tables`."""
    days = [table.retention_days or default_retention_days for table in tables]
    return records_table(ErasedRecord, name=ERASURES, retention_days=max(days, default=default_retention_days))


def served_table() -> Table:
    """Return the table of erasures as callers see it: the stream is in the path, and no message has an erasure."""
    table, shown = erasures_table(), {"digest", "until", "ingest_time", "delivery_key"}
    record, envelope = (
        tuple(each for each in columns if each.name in shown) for columns in (table.record, table.envelope)
    )
    return msgspec.structs.replace(table, record=record, envelope=envelope)


async def record_erasure(appender: Appender, erased: ErasedRecord) -> None:
    """Append an erasure to its table; once more, under another key, if readers may have passed a late row.

    Raises:
        StoreUnavailableError: it may not be stored, or readers may not find it.
    """
    encode = appender.encoder(NO_MESSAGE)
    for _ in range(_ATTEMPTS):
        outcome = await appender.append([encode(erased, 0, secrets.token_hex(16))])
        if outcome != Stored(late=True):
            break
    if outcome != Stored():
        detail = getattr(outcome, "detail", "it was stored too late")
        raise StoreUnavailableError(f"the erasure could not be recorded in {ERASURES}: {detail}")
