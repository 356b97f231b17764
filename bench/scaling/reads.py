"""What lies in the table at a rate of records, and what reading it comes to, on Google Cloud.

What readers pay is taken from price.json (bench/price), which bills the statements that the service sends. The rest is
reckoned here: what the limits on the bytes of a query are compared with. That is BigQuery's estimate, which counts the
named columns of whole hours.
"""

from typing import Any

from app.query.slices import look_up_slices
from app.runtime.instants import HOUR_US, SECOND_US
from bench.scaling import capacity, prices
from bench.scaling.limits import LIMITS, LOOKBACK_S, RETENTION_DAYS

HOUR_S = 3_600
_LOOKBACK_H = LOOKBACK_S / HOUR_S
# `ingest_time`, and `delivery_key` as in capacity.row_bytes, by which copies are found. A TIMESTAMP is 8 bytes, a
# STRING its bytes and 2: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes
KEY_BYTES = 8 + 2 + len("12345678901234567/1767225600123456/0")
PLACE_BYTES = 8 + 2 + len("order-1042")
"""What finds an id: `ingest_time` and the id."""
FOLLOWER, FOLLOWERS, DASHBOARD = "a follower, by pages", "ten followers", "a dashboard, every 5 s"
EXPORTS = "an export of each hour"
KEPT_DOLLARS = "in the end, $ a month"
_TERA = 1e12


def hour_bytes(records_per_s: float, row_bytes: int) -> float:
    """Return what one partition holds."""
    return records_per_s * HOUR_S * row_bytes


def hour_query_bytes(records_per_s: float, row_bytes: int) -> float:
    """Return the estimate of a query that reads every column of an hour, with its look-back."""
    return hour_bytes(records_per_s, row_bytes) + hour_bytes(records_per_s, KEY_BYTES)


def look_up_bytes(records_per_s: float, *, hours: float = 1, is_newest: bool = True) -> float:
    """Return the estimate of the first step of a look-up over so many hours, which its ceiling is compared with.

    The slice and its look-back begin anywhere in an hour; the newest one ends where there is no more of the hour.
    """
    partitions = hours + _LOOKBACK_H + 1 if is_newest else hours + 2
    return partitions * hour_bytes(records_per_s, PLACE_BYTES)


def look_up_hours(records_per_s: float) -> float:
    """Return how far back a look-up by id comes without a search index before it is refused, in hours."""
    until_us = round(RETENTION_DAYS * 24 * HOUR_US)
    reached = 0.0
    for part in look_up_slices(0, until_us, first_us=HOUR_US):
        hours = (part.to_us - part.from_us) / SECOND_US / HOUR_S
        if look_up_bytes(records_per_s, hours=hours, is_newest=not reached) > LIMITS["look-up"].value:
            break
        reached += hours
    return reached


def month_dollars(records_per_s: float, reader: str, *, before: bool = False) -> float | None:
    """Return what a reader pays in a month, by the model; None if it is refused, or was not asked.

    `before`: as if each page were a query of its own, over a table clustered by id.
    """
    cells: list[dict[str, Any]] = capacity.measured("price")["cells"]
    way = cells[0 if before else -1]["way"]
    found = [
        cell["dollars_per_month"]
        for cell in cells
        if (cell["rows_per_s"], cell["reader"], cell["way"]) == (records_per_s, reader, way)
    ]
    return found[0] if found else None


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
