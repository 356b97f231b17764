"""Settings that limit the content of a message."""

from typing import Annotated

from msgspec import Meta

from app.settings.telemetry import TelemetrySettings

_MIB = 1024**2
_Count = Annotated[int, Meta(gt=0)]


class MessageSettings(TelemetrySettings, frozen=True, kw_only=True):
    """Limits on the content of a message; beyond them the message, or the record, is rejected."""

    max_decompressed_bytes: Annotated[
        _Count, Meta(description="A gzip payload that grows beyond this is rejected.")
    ] = 32 * _MIB
    max_records_per_message: Annotated[
        _Count, Meta(description="A message with more records is rejected whole (`too_many_records`).")
    ] = 20_000
    max_message_values: Annotated[
        _Count,
        Meta(
            description="A message with more JSON values is rejected whole (`too_complex`); what counts as how many: "
            "limits.md."
        ),
    ] = 5_000_000
    max_message_bytes: Annotated[
        _Count, Meta(description="Bytes of one message's rows, each with its envelope; a larger message is rejected.")
    ] = 64 * _MIB
    max_record_bytes: Annotated[_Count, Meta(description="A larger record is rejected; below one append's bytes.")] = (
        4 * _MIB
    )
    max_record_values: Annotated[
        _Count, Meta(description="A record with more JSON values is rejected (`too_complex`).")
    ] = 1_000_000
    max_rejects_per_message: Annotated[
        _Count,
        Meta(
            description="A message with more bad records, or with rejects of more than `SLUICE_MAX_MESSAGE_BYTES` "
            "together, is rejected whole, as one reject (`too_many_rejects`)."
        ),
    ] = 1_000
