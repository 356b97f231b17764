"""Settings of ingest: the subscription, the load it may bring, and the limits of a message."""

from typing import Annotated

from msgspec import Meta

from app.settings.fields import MIB, Count, Room, Seconds


class IngestSettings(Room, frozen=True, kw_only=True):
    """The subscription as deployed, the load that is admitted, and the limits of a message."""

    ack_deadline_s: Annotated[Seconds, Meta(description="The ack deadline of the subscription, as deployed.")] = 60.0
    request_budget_s: Annotated[
        Seconds, Meta(description="The longest time to store a message; after that the answer is 503.")
    ] = 30.0
    retry_backoff_max_s: Annotated[
        Seconds, Meta(description="The longest retry back-off of the subscription, as deployed.")
    ] = 600.0
    seek_since: Annotated[
        str,
        Meta(
            description="While a subscription is sought backward: the instant that it is sought to, such as "
            "`2026-01-31T12:00:00Z`. A message published since then, and older than the look-back, is looked up in "
            "the table before it is stored. Empty: no seek (docs/runbook.md)."
        ),
    ] = ""
    stuck_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description="When messages have waited this long without any answer from the store, `/health/live` "
            "fails, so that the platform replaces the instance.",
        ),
    ] = 300.0
    max_batch_rows: Annotated[Count, Meta(description="The most rows in one append.")] = 5_000
    max_batch_bytes: Annotated[Count, Meta(description="The most bytes in one append (BigQuery accepts 10 MB).")] = (
        9_000_000
    )
    max_in_flight_messages: Annotated[
        Count,
        Meta(
            description="The most messages in flight, three quarters of them for one caller; beyond that the "
            "answer is 429."
        ),
    ] = 2_000
    max_in_flight_bytes: Annotated[
        Count,
        Meta(
            description="The most bytes of messages in flight, three "
            "quarters of them for one caller; beyond that the "
            "answer is 429."
        ),
    ] = 96 * MIB
    dedupe_max_messages: Annotated[
        Count,
        Meta(
            description="Stored messages (and records sent over HTTP) that an instance remembers, to drop copies early."
        ),
    ] = 200_000
    max_decompressed_bytes: Annotated[
        Count, Meta(description="A gzip payload that decompresses to more bytes is rejected.")
    ] = 32 * MIB
    max_records_per_message: Annotated[
        Count, Meta(description="A message with more records is rejected whole (`too_many_records`).")
    ] = 20_000
    max_message_values: Annotated[
        Count,
        Meta(
            description="A message with more JSON values is rejected whole (`too_complex`); limits.md says how "
            "values are counted."
        ),
    ] = 5_000_000
    max_message_bytes: Annotated[
        Count, Meta(description="Bytes of one message as rows, envelopes included; a larger message is rejected.")
    ] = 64 * MIB
    max_record_bytes: Annotated[
        Count,
        Meta(description="Bytes of one record; a larger record is rejected. It must be below the bytes of one append."),
    ] = 4 * MIB
    max_record_values: Annotated[
        Count, Meta(description="A record with more JSON values is rejected (`too_complex`).")
    ] = 1_000_000
    max_rejects_per_message: Annotated[
        Count,
        Meta(
            description="A message with more rejected records, or with more than `SLUICE_MAX_MESSAGE_BYTES` of "
            "rejects, is rejected whole, as one reject (`too_many_rejects`)."
        ),
    ] = 1_000
