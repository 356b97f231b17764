"""What lies in the table at a rate of records, and what reading it comes to: bytes a query, and how far one reaches.

Pure. The smallest thing that BigQuery reads is a column of one partition, and partitions are an hour each: being
clustered by id does not make a query by time read less of it. Layout and queries are those of app/query.
"""

from app.query.slices import look_up_slices
from app.runtime.instants import HOUR_US, SECOND_US
from bench.scaling import capacity, prices
from bench.scaling.limits import LIMITS, LOOKBACK_S, MAX_PAGE_ROWS, POLL_S, RETENTION_DAYS

HOUR_S = 3_600
_LOOKBACK_H = LOOKBACK_S / HOUR_S
# `ingest_time`, and `delivery_key` as in capacity.row_bytes, by which copies are found. A TIMESTAMP is 8 bytes, a
# STRING its bytes and 2: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes
KEY_BYTES = 8 + 2 + len("12345678901234567/1767225600123456/0")
BY_PAGES = f"every record, by pages of {MAX_PAGE_ROWS:,}, $ a month"
BY_EXPORTS = "every record, an export of each hour, $ a month"
KEPT_DOLLARS = "in the end, $ a month"
_TERA = 1e12


def hour_bytes(records_per_s: float, row_bytes: int) -> float:
    """Return what one partition holds."""
    return records_per_s * HOUR_S * row_bytes


def look_bytes(records_per_s: float, row_bytes: int) -> float:
    """Return what a reader's query reads who is up to date, on average.

    All of the hour that has begun, half of one on average; and of the hour before, while the look-back reaches into it,
    what copies are found by.
    """
    return 0.5 * hour_bytes(records_per_s, row_bytes) + _LOOKBACK_H * hour_bytes(records_per_s, KEY_BYTES)


def page_bytes(records_per_s: float, row_bytes: int) -> float:
    """Return what a page's query reads at least, but of the hour that has begun: one partition, and the look-back.

    A slice is never cut below it: where this is too much, the page is refused.
    """
    return hour_bytes(records_per_s, row_bytes) + hour_bytes(records_per_s, KEY_BYTES)


def export_bytes(records_per_s: float, row_bytes: int) -> float:
    """Return what the export of one whole hour reads, from its first minute to its last, and the look-back before."""
    return hour_bytes(records_per_s, row_bytes) + hour_bytes(records_per_s, KEY_BYTES)


def look_up_bytes(records_per_s: float, row_bytes: int, *, hours: float = 1, is_newest: bool = True) -> float:
    """Return the upper bound of a look-up's query over a slice of so many hours, which its ceiling is compared with.

    The slice and its look-back begin anywhere in an hour; the newest one ends where there is no more of the hour.
    """
    partitions = hours + _LOOKBACK_H + 1 if is_newest else hours + 2
    return partitions * hour_bytes(records_per_s, row_bytes)


def look_up_hours(records_per_s: float, row_bytes: int) -> float:
    """Return how far back a look-up by id comes before it is refused for its bytes, in hours."""
    until_us = round(RETENTION_DAYS * 24 * HOUR_US)
    reached = 0.0
    for part in look_up_slices(0, until_us, first_us=HOUR_US):
        hours = (part.to_us - part.from_us) / SECOND_US / HOUR_S
        size = look_up_bytes(records_per_s, row_bytes, hours=hours, is_newest=not reached)
        if size > LIMITS["look-up"].value:
            break
        reached += hours
    return reached


def query_dollars(size: float) -> float:
    """Return what a query of so many bytes costs; there is a least."""
    return prices.QUERIED_BYTE.of(max(size, capacity.QUERY_BYTES))


def reading_dollars(records_per_s: float, row_bytes: int) -> dict[str, float]:
    """Return what a month of reading costs, by how one reads; each for all readers that share a cache's answers."""
    look = query_dollars(look_bytes(records_per_s, row_bytes))
    export = query_dollars(export_bytes(records_per_s, row_bytes))
    canary = query_dollars((0.5 + _LOOKBACK_H) * hour_bytes(records_per_s, KEY_BYTES))
    month = capacity.MONTH_S
    return {
        "a poll every minute, $ a month": look * month / 60,
        f"every {POLL_S:g} s, $ a month": look * month / POLL_S,
        BY_PAGES: look * month * max(records_per_s / MAX_PAGE_ROWS, 1 / POLL_S),
        BY_EXPORTS: export * month / HOUR_S,
        "canaries, $ a month": canary * month / capacity.HEARTBEAT_EVERY_S,
    }


def kept(records_per_s: float, row_bytes: int) -> dict[str, float]:
    """Return what comes to lie in the table: of an hour, of a day, and in the end."""
    day = hour_bytes(records_per_s, row_bytes) * 24
    return {
        "rows an hour": records_per_s * HOUR_S,
        "GB an hour": hour_bytes(records_per_s, row_bytes) / 1e9,
        "TB a day": day / _TERA,
        f"TB in the end, of {RETENTION_DAYS} days": day * RETENTION_DAYS / _TERA,
        KEPT_DOLLARS: prices.STORED_BYTE_MONTH.of(day * RETENTION_DAYS),
    }
