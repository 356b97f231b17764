"""Settings of storage: the embedded store's location, and the retention of every store."""

from typing import Annotated

from msgspec import Meta

from app.settings.connections import ConnectionSettings


class StoreSettings(ConnectionSettings, frozen=True, kw_only=True):
    """Where the embedded store keeps its file, and how long every store keeps records; see Settings."""

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
    ] = 256 * 1024**2
    retention_days: Annotated[
        int,
        Meta(
            gt=0,
            description="How long records and rejects are kept, by `ingest_time`, and how far back a look-up by id "
            "searches. The embedded store deletes older ones every hour; on BigQuery partitions expire, as Terraform "
            "sets it.",
        ),
    ] = 400
