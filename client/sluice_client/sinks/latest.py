"""Which version of each id a table keeps, where it keeps the latest one only."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sluice_client.protocol.schema import INGESTED, Column, Roles, Row
from sluice_client.sinks.values import six_digits


def latest_rows(rows: Sequence[Row], columns: Sequence[Column], roles: Roles, erased: Mapping[str, str]) -> list[Row]:
    """Return the latest row of each id among rows in the order of the feed, without those that were erased.

    `erased`: by the digest of an id, the `ingest_time` of the last version that was.
    """
    paths = [column.path for column in columns]
    record_id, time = paths.index(roles.id), paths.index(INGESTED)
    sequence = paths.index(roles.sequence) if roles.sequence else None
    latest = dict[Any, tuple[tuple[Any, ...], Row]]()
    for row in rows:
        key, ingested = row[record_id], six_digits(row[time])
        if erased and ingested <= six_digits(erased.get(digest_of(key), "")):
            continue
        rank = (ingested,) if sequence is None else (*_sortable(row[sequence]), ingested)
        if key not in latest or rank >= latest[key][0]:
            latest[key] = rank, row
    return [row for _, row in latest.values()]


def digest_of(record_id: str | int) -> str:
    """Return the digest by which the service names an erased id."""
    return hashlib.sha256(str(record_id).encode("utf-8", "surrogatepass")).hexdigest()


def _sortable(sequence: Any) -> tuple[bool, Any]:
    """Return what sorts like a whole number or an instant; null is less than any."""
    return sequence is not None, six_digits(sequence) if isinstance(sequence, str) else sequence
