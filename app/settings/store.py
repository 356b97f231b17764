"""Settings of the store: which one, where it is, and when a row is final."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.room import MIB, Count, Room, Seconds

_BASE_URL = "^https?://[^/]+$"


class StoreSettings(Room, frozen=True, kw_only=True):
    """The store and its location, the retention, and the time when a row is final."""

    record: Annotated[str, Meta(description="The record type: `package.module:Type`, a msgspec.Struct.")] = (
        "app.record:Record"
    )
    backend: Annotated[
        Literal["embedded", "bigquery"],
        Meta(description="Where records are stored: `embedded`, a DuckDB file of this process, or `bigquery`."),
    ] = "embedded"
    data_path: Annotated[str, Meta(description="The embedded store's file; its folder is made when missing.")] = (
        "data/sluice.duckdb"
    )
    min_free_disk_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Below this much free space on the embedded store's disk, records are refused (503) while "
            "reads go on. 0: the disk is filled to its last byte.",
        ),
    ] = 256 * MIB
    retention_days: Annotated[
        int,
        Meta(
            gt=0,
            description="How long records and rejects are kept, by `ingest_time`, and how far back a look-up by id "
            "searches. The embedded store deletes older ones every hour; on BigQuery partitions expire, as Terraform "
            "sets it.",
        ),
    ] = 400
    bigquery_project: Annotated[
        str, Meta(description="The project of the tables, which also runs and pays for the queries. Never guessed.")
    ] = ""
    bigquery_dataset: Annotated[str, Meta(description="The dataset of the tables.")] = ""
    bigquery_location: Annotated[
        str, Meta(description="The dataset's location, such as `EU`. Empty: BigQuery finds it, a little slower.")
    ] = ""
    bigquery_rest_url: Annotated[
        str,
        Meta(
            pattern=_BASE_URL,
            description="Where BigQuery's REST API is. With `https` it is called with the application-default "
            "credentials; `http` is an emulator, called without any.",
        ),
    ] = "https://bigquery.googleapis.com"
    bigquery_storage_url: Annotated[
        str,
        Meta(
            pattern=_BASE_URL,
            description="Where BigQuery's Storage API (gRPC) is; `https` and `http` mean the same as for REST.",
        ),
    ] = "https://bigquerystorage.googleapis.com"
    bigquery_max_connections: Annotated[
        Count, Meta(le=100, description="Connections for appends to one table; more are opened only under load.")
    ] = 4
    append_deadline_s: Annotated[Seconds, Meta(description="One attempt to append may take this long.")] = 10.0
    late_commit_margin_s: Annotated[
        Seconds, Meta(description="How long after its deadline the store may still commit an abandoned append.")
    ] = 10.0
    clock_skew_s: Annotated[Seconds, Meta(description="How far instances' clocks may differ.")] = 2.0
    settle_s: Annotated[
        Seconds,
        Meta(description="Age at which a record's place in the feed is final (the embedded store needs none)."),
    ] = 30.0
