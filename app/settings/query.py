"""Settings of queries: their limits and costs, the cache, exports and tails."""

from typing import Annotated

from msgspec import Meta

from app.settings.fields import GIB, MIB, TIB, Count, Room, Seconds

_CACHE_URL = r"^((valkey|redis)(://[^/?#]+(/[0-9]+)?|s://[^/?#]+(/[0-9]+)?(\?ssl_ca_data=[^&?#]+)?))?$"


class QuerySettings(Room, frozen=True, kw_only=True):
    """The limits and the cost of reads, the cache of answers, exports and tails."""

    dedupe_lookback_s: Annotated[
        Seconds, Meta(description="Copies of a delivery within this time of each other are returned once.")
    ] = 900.0
    poll_s: Annotated[
        Seconds,
        Meta(
            description="The interval at which waiting readers poll for new records (BigQuery, which bills at "
            "least 10 MB per query; the embedded store is polled four times a second)."
        ),
    ] = 5.0
    query_max_bytes_billed: Annotated[
        Count,
        Meta(
            description="A query that would read more is refused before it costs anything (BigQuery). Reads of two "
            "minutes or less may read 50 times as much, since BigQuery's estimate ignores clustering."
        ),
    ] = 10 * GIB
    id_index: Annotated[
        bool,
        Meta(
            description="Every table of records has a search index on its id, so a look-up by id of any age is cheap "
            "(BigQuery; `sluice schema index` makes the indexes, and Terraform sets this)."
        ),
    ] = False
    bytes_billed_per_day: Annotated[
        int,
        Meta(
            ge=0,
            description="How many bytes BigQuery may bill for all reads of an instance in a day (UTC), three quarters "
            "of them for one caller; further ones are answered 429. The default costs $125 at list price, 30 times "
            "what a follower of 1,000 records/s pays. 0: no limit.",
        ),
    ] = 20 * TIB
    max_reads: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Reads at once (pages, statistics, look-ups, exports), until their responses are sent; three "
            "quarters of them for one caller, and an eighth for exports. One more waits for 5 s, and is then answered "
            "429.",
        ),
    ] = 32
    tail_max_s: Annotated[
        Seconds,
        Meta(
            description="The length of a tail stream, after which the client reconnects and continues. It must "
            "be below the platform's request time-out, which is 300 s on Cloud Run by default."
        ),
    ] = 240.0
    cache_url: Annotated[
        str,
        Meta(
            pattern=_CACHE_URL,
            description="The address of a Valkey server, such as `valkey://10.0.0.3:6379/0`, through which "
            "instances share the response cache and the request counts; it needs `SLUICE_CACHE_SECRET`. A user without "
            "a password logs in with an access token of the service's Google identity. `valkeys` is TLS; the "
            "certificate of a private authority follows, percent-encoded, as `?ssl_ca_data=`. Empty: each instance "
            "has its own.",
        ),
    ] = ""
    cache_secret: Annotated[
        str,
        Meta(
            pattern="^(.{32,})?$",
            description="The key that encrypts what instances share through `SLUICE_CACHE_URL`, the same for all: at "
            "least 32 random characters. A new one empties the cache.",
        ),
    ] = ""
    window_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Memory for rows that were read once and then answer every page, poll, tail, count, export and "
            "statistic of their time (BigQuery). Following 10,000 records/s takes 512 MiB. With 0 each read is a query "
            "of its own.",
        ),
    ] = 256 * MIB

    # Not settings (app.settings.fields).
    max_window_days: int = 31
    """The longest window of one query."""
    query_timeout_s: float = 30.0
    """A query that takes longer is cancelled (BigQuery)."""
    page_budget_s: float = 10.0
    """The time for the queries of one page, which then ends early, with a cursor for the rest."""
    max_page_bytes: int = 4 * MIB
    """Bytes of the rows of one page, which then ends early, with a cursor for the rest."""
    max_tails: int = 100
    """Concurrent readers of `/v1/records/tail`, three quarters of them for one caller."""
    cache_max_bytes: int = 64 * MIB
    """Memory for cached responses, when `cache_url` is empty."""

    @property
    def look_up_max_bytes_billed(self) -> int:
        """The same limit for a look-up by id, an erasure or a backfill, which read narrow columns only."""
        return 10 * self.query_max_bytes_billed
