"""Settings of ingest: the subscription, the load it may bring, and the limits of a message."""

from typing import Annotated

from msgspec import Meta

from app.settings.fields import MIB, Count, Room, Seconds

# Pub/Sub allows 100 attributes of 256 + 1,024 bytes and a key of 1,024; escaping in JSON may turn a byte into six.
ENVELOPE_BYTES = 1_000_000


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
            pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$",
            description="While a subscription is sought backward: the instant that it is sought to, such as "
            "`2026-01-31T12:00:00Z`. A message published since then, and older than the look-back, is looked up in "
            "the table before it is stored. Empty: no seek (docs/runbook.md).",
        ),
    ] = ""
    max_in_flight_bytes: Annotated[
        Count,
        Meta(
            description="The most bytes of messages in flight, each of which counts at least 48 KiB; three quarters "
            "of them for one caller. Beyond that the answer is 429."
        ),
    ] = 96 * MIB
    max_record_bytes: Annotated[
        Count,
        Meta(le=9_000_000 - ENVELOPE_BYTES, description="Bytes of one record; a larger record is rejected."),
    ] = 4 * MIB

    # Not settings (app.settings.fields).
    max_batch_rows: int = 5_000
    """The most rows in one append."""
    max_batch_bytes: int = 9_000_000
    """The most bytes in one append; BigQuery accepts 10 MB, with what stamps and frames the rows."""
    dedupe_max_messages: int = 200_000
    """Stored messages (and records sent over HTTP) that an instance remembers, to drop copies early."""
    max_decompressed_bytes: int = 32 * MIB
    """A gzip payload that decompresses to more bytes is rejected."""
    max_records_per_message: int = 20_000
    max_read_cpu_s: int = 5
    """Processor time for reading a large message, in whole seconds; GeoJSON of 28 MiB takes one."""
    max_read_memory_bytes: int = 256 * MIB
    """Memory for reading a large message, beyond what the process takes at rest."""
    max_message_bytes: int = 64 * MIB
    """Bytes of one message as rows, or as rejects, envelopes included."""
    max_rejects_per_message: int = 1_000

    @property
    def stuck_s(self) -> float:
        """How long messages wait without any answer from the store until `/health/live` fails."""
        return 10 * self.request_budget_s
