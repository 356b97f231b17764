"""Settings of the store: which one, where it is, and when a row is final."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.fields import MIB, Room, Seconds

_BASE_URL = "^https?://[^/]+$"
# https://cloud.google.com/resource-manager/docs/creating-managing-projects, with the domain in old ids;
# https://cloud.google.com/bigquery/docs/datasets#dataset-naming
_PROJECT, _DATASET = r"^(([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{0,62})?$", r"^[A-Za-z0-9_]{0,1024}$"


class StoreSettings(Room, frozen=True, kw_only=True):
    """The store and its location, the retention, and the time when a row is final."""

    record: Annotated[str, Meta(description="The record type, a msgspec.Struct, as `package.module:Type`.")] = (
        "app.record:Record"
    )
    streams: Annotated[
        str,
        Meta(
            description="Several record types in one deployment: a mapping from stream to type (app.streams), as "
            "`package.module:NAME`. Empty: the single type of `SLUICE_RECORD`."
        ),
    ] = ""
    pii_secret: Annotated[
        str,
        Meta(
            pattern="^(.{32,})?$",
            description="The key of the hashes of personal data (`pii:hash`), at least 32 random characters. "
            "[Keep it](record-types.md#personal-data): with another one, equal values no longer have equal hashes.",
        ),
    ] = ""
    backend: Annotated[
        Literal["embedded", "bigquery", "mirror"],
        Meta(
            description="The store: `embedded`, a DuckDB file of this process; `bigquery`; or `mirror`, such a file "
            "that follows another Sluice (the roles are `query` then)."
        ),
    ] = "embedded"
    data_path: Annotated[str, Meta(description="The file of the embedded store; a missing folder is created.")] = (
        "data/sluice.duckdb"
    )
    mirror_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/?#@]+(/[^?#]*)?)?$", description="The service that a [mirror](mirror.md) follows."
        ),
    ] = ""
    mirror_token: Annotated[
        str,
        Meta(
            description="The API key or ID token of a mirror at its source, with the scope `read`; or the path of a "
            "file with it, which begins with `/` and is read for each request."
        ),
    ] = ""
    retention_days: Annotated[
        int,
        Meta(
            gt=0,
            description="How long records are kept, by `ingest_time`, rejects for 30 days of it at most, and how "
            "far back a look-up by id searches. The embedded store deletes older rows every hour; in BigQuery "
            "partitions expire, as Terraform configures.",
        ),
    ] = 400
    bigquery_project: Annotated[
        str,
        Meta(
            pattern=_PROJECT,
            description="The project of the tables, which also runs the queries and pays for them, and receives "
            "traces and metrics. It has no default.",
        ),
    ] = ""
    bigquery_dataset: Annotated[str, Meta(pattern=_DATASET, description="The dataset of the tables.")] = ""
    bigquery_location: Annotated[
        str,
        Meta(
            description="The location of the dataset, such as `EU`. Empty: BigQuery looks it up, which is a little "
            "slower."
        ),
    ] = ""
    bigquery_rest_url: Annotated[
        str,
        Meta(
            pattern=_BASE_URL,
            description="The URL of BigQuery's REST API. An `https` URL is called with the application-default "
            "credentials; an `http` URL is an emulator, called without credentials.",
        ),
    ] = "https://bigquery.googleapis.com"
    bigquery_storage_url: Annotated[
        str,
        Meta(
            pattern=_BASE_URL,
            description="The URL of BigQuery's Storage API (gRPC); `https` and `http` differ as for the REST API.",
        ),
    ] = "https://bigquerystorage.googleapis.com"
    append_deadline_s: Annotated[Seconds, Meta(description="The time limit of one append attempt.")] = 10.0
    late_commit_margin_s: Annotated[
        float,
        Meta(
            le=31 * 86_400,
            ge=1,  # the shortest keep-alive timeout of a connection: a broken one is detected after the margin
            description="How long the store may still commit an append after the attempt was abandoned; at least 1.",
        ),
    ] = 10.0
    clock_skew_s: Annotated[
        Seconds, Meta(description="The largest difference between the clocks of two instances.")
    ] = 2.0
    settle_s: Annotated[
        Seconds,
        Meta(
            description="The age at which the position of a record in the feed is final, unless the instances say so "
            "[earlier](bigquery.md#fresh-within-seconds) (the embedded store does not need it)."
        ),
    ] = 30.0

    # Not settings (app.settings.fields).
    min_free_disk_bytes: int = 256 * MIB
    """Free space to keep on the disk of the embedded store; below it, writes are refused while reads go on."""
    embedded_memory_bytes: int = 0
    """Memory for the embedded store; 0: a quarter of the container's, from 256 MiB to 1 GiB."""

    @property
    def max_lead_us(self) -> int:
        """How far stamps may lie ahead of this clock: by another one's skew, and by the lead of who joins there."""
        return round(3 * self.clock_skew_s * 1_000_000)
