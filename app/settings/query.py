"""Settings of queries: their limits and costs, the cache, exports and tails."""

from typing import Annotated

from msgspec import Meta

from app.settings.room import GIB, MIB, Count, Room, Seconds

_CACHE_URL = "^((valkey|redis)s?://[^/?#]+(/[0-9]+)?)?$"


class QuerySettings(Room, frozen=True, kw_only=True):
    """The limits and the cost of reads, the cache of answers, exports and tails."""

    max_window_days: Annotated[Count, Meta(description="The longest window one query may span.")] = 31
    dedupe_lookback_s: Annotated[
        Seconds, Meta(description="Copies of a delivery this far apart are returned once.")
    ] = 900.0
    poll_s: Annotated[
        Seconds,
        Meta(
            description="How often readers that wait for new records look for them (BigQuery, where each look bills at "
            "least 10 MB; the embedded store is looked at four times a second)."
        ),
    ] = 5.0
    query_timeout_s: Annotated[Seconds, Meta(description="A query that takes longer is cancelled (BigQuery).")] = 30.0
    query_max_bytes_billed: Annotated[
        Count, Meta(description="A query that would read more is refused before it costs anything (BigQuery).")
    ] = 10 * GIB
    look_up_max_bytes_billed: Annotated[
        Count,
        Meta(
            description="The same for a look-up by id, which bills far less than BigQuery estimates, because the table "
            "is clustered by id."
        ),
    ] = 100 * GIB
    page_budget_s: Annotated[
        Seconds,
        Meta(description="A page whose queries took longer ends there, with a cursor to go on from."),
    ] = 10.0
    max_page_bytes: Annotated[
        Count, Meta(description="A page whose rows come to more ends there, with a cursor to go on from.")
    ] = 8 * MIB
    max_waits: Annotated[
        Count, Meta(description="Requests with `wait` that wait at once, for each table; one more is answered at once.")
    ] = 500
    max_exports: Annotated[
        Count,
        Meta(
            description="Exports (`limit=all`) at once, three quarters of them for one caller; one more is "
            "answered 429."
        ),
    ] = 4
    max_tails: Annotated[
        Count,
        Meta(
            description="Readers of `/v1/records/tail` at once, three quarters of them of one caller; one more is "
            "answered 429."
        ),
    ] = 100
    tail_max_s: Annotated[
        Seconds,
        Meta(
            description="A tail ends itself after this long, and the reader's browser goes on where it was; below the "
            "time-out of the platform, which is 300 s on Cloud Run unless set otherwise."
        ),
    ] = 240.0
    cache_url: Annotated[
        str,
        Meta(
            pattern=_CACHE_URL,
            description="Where instances share the cache of answers and the count of requests, such as "
            "`valkey://10.0.0.3:6379/0`. Empty: each instance has its own.",
        ),
    ] = ""
    cache_max_bytes: Annotated[
        Count, Meta(description="Memory for answers that may be given again, without `SLUICE_CACHE_URL`.")
    ] = 64 * MIB
    cache_closed_s: Annotated[
        Seconds, Meta(description="How long answers about windows that are over, and so never change, are kept.")
    ] = 3_600.0
