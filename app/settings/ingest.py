"""Settings of ingest: the subscription, the load it may bring, and the limits of a message."""

from typing import Annotated

from msgspec import Meta

from app.settings.room import MIB, Count, Room, Seconds


class IngestSettings(Room, frozen=True, kw_only=True):
    """The subscription as deployed, the load that is admitted, and the limits of a message."""

    ack_deadline_s: Annotated[Seconds, Meta(description="The subscription's ack deadline, as deployed.")] = 60.0
    request_budget_s: Annotated[
        Seconds, Meta(description="After this long a message that is not durable is answered 503.")
    ] = 30.0
    retry_backoff_max_s: Annotated[
        Seconds, Meta(description="The subscription's longest retry back-off, as deployed.")
    ] = 600.0
    stuck_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description="When messages have waited this long and the store has answered nothing, `/health/live` fails, "
            "so that the instance is replaced.",
        ),
    ] = 300.0
    max_batch_rows: Annotated[Count, Meta(description="Rows in one append.")] = 5_000
    max_batch_bytes: Annotated[Count, Meta(description="Bytes in one append (BigQuery takes 10 MB).")] = 9_000_000
    max_in_flight_messages: Annotated[
        Count, Meta(description="Messages being worked on, three quarters for one caller; one more is answered 429.")
    ] = 2_000
    max_in_flight_bytes: Annotated[Count, Meta(description="Bytes of those messages, likewise.")] = 96 * MIB
    dedupe_max_messages: Annotated[
        Count,
        Meta(
            description="How many stored messages (and records, for HTTP) an instance remembers, to drop copies early."
        ),
    ] = 200_000
    max_decompressed_bytes: Annotated[Count, Meta(description="A gzip payload that grows beyond this is rejected.")] = (
        32 * MIB
    )
    max_records_per_message: Annotated[
        Count, Meta(description="A message with more records is rejected whole (`too_many_records`).")
    ] = 20_000
    max_message_values: Annotated[
        Count,
        Meta(
            description="A message with more JSON values is rejected whole (`too_complex`); what counts as how many: "
            "limits.md."
        ),
    ] = 5_000_000
    max_message_bytes: Annotated[
        Count, Meta(description="Bytes of one message's rows, each with its envelope; a larger message is rejected.")
    ] = 64 * MIB
    max_record_bytes: Annotated[Count, Meta(description="A larger record is rejected; below one append's bytes.")] = (
        4 * MIB
    )
    max_record_values: Annotated[
        Count, Meta(description="A record with more JSON values is rejected (`too_complex`).")
    ] = 1_000_000
    max_rejects_per_message: Annotated[
        Count,
        Meta(
            description="A message with more bad records, or with rejects of more than `SLUICE_MAX_MESSAGE_BYTES` "
            "together, is rejected whole, as one reject (`too_many_rejects`)."
        ),
    ] = 1_000
