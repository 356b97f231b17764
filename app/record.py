"""The default record type, and the envelope columns that the service adds to every record.

To store a record of your own, declare a `msgspec.Struct` and name it in `SLUICE_RECORD=package.module:Type`;
everything else (validation, table, wire format, filters, OpenAPI) is derived from it. `Meta(extra={"sluice":
[...]})` gives a field a role: `id` (looked up at `/v1/records/{id}`), `deleted` and `sequence` (say which version of it
is the latest), `filter`, `aggregate`, `rest` (keeps undeclared members), `promoted` (was one of them); for personal
data `pii:hash`, `pii:redact` or `pii:drop` (docs/record-types.md).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeGuard, get_args

import msgspec
from msgspec import Meta

from app.runtime.imports import DeclarationError, import_declaration

RejectReason = Literal[
    "malformed",
    "invalid",
    "too_large",
    "too_complex",
    "bad_encoding",
    "too_many_records",
    "too_many_rejects",
    "empty",
    "refused",
    "unroutable",
]
REJECT_REASONS: tuple[RejectReason, ...] = get_args(RejectReason)


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event, as a producer sends it."""

    id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            description="What the record is about; a later record with the same id is its new version.",
            examples=["order-1042"],
            extra={"sluice": ["id", "filter"]},
        ),
    ]
    timestamp: Annotated[
        datetime,
        Meta(
            tz=True,
            description="When the event happened, by the producer's clock (RFC 3339 with an offset).",
            examples=["2026-01-31T12:00:00Z"],
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ]
    source: Annotated[
        str | None,
        Meta(
            description="The system that sent the record.",
            examples=["checkout"],
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ] = None
    data: Annotated[
        Any,
        Meta(
            description="The event itself: any JSON.",
            examples=[{"total": 12.5}],
            extra={"sluice": ["filter"]},
        ),
    ] = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The columns the service adds: reserved, so no record may declare a field of these names.

    The first five are named as a BigQuery subscription's write_metadata names them
    (https://cloud.google.com/pubsub/docs/bigquery#write_metadata).
    """

    subscription_name: Annotated[
        str | None,
        Meta(
            description="The Pub/Sub subscription that delivered the message; null over HTTP.",
            extra={"sluice": ["filter"]},
        ),
    ]
    message_id: Annotated[
        str | None, Meta(description="The Pub/Sub message id; null over HTTP.", extra={"sluice": ["filter"]})
    ]
    publish_time: Annotated[
        datetime | None,
        Meta(description="When Pub/Sub received the message; null over HTTP.", extra={"sluice": ["filter"]}),
    ]
    attributes: Annotated[dict[str, str], Meta(description="The message's attributes.", extra={"sluice": ["filter"]})]
    ordering_key: Annotated[
        str | None, Meta(description="The ordering key of the message.", extra={"sluice": ["filter"]})
    ]
    message_index: Annotated[
        int,
        Meta(ge=0, description="The position of the record in a message with several records; 0 for a single record."),
    ]
    delivery_key: Annotated[
        str,
        Meta(
            description="The key of the delivery. All copies of a delivery share it; the feed returns the first "
            "copy only.",
            extra={"sluice": ["filter"]},
        ),
    ]
    ingest_time: Annotated[
        datetime,
        Meta(tz=True, description="When the service sent the record to the store; `since` and `until` refer to it."),
    ]
    trace_id: Annotated[
        str | None,
        Meta(
            description="The W3C trace id that the publisher sent, 32 hexadecimal digits.",
            extra={"sluice": ["filter"]},
        ),
    ]


CANARY_PREFIX = "heartbeat:"
"""Prefix of the delivery keys of canaries: records that only measure, and that reads leave out."""


class RejectedRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record that could not be stored: the reason, and the original bytes."""

    reason: Annotated[
        RejectReason,
        Meta(description="The reason, as a stable code.", extra={"sluice": ["filter", "aggregate"]}),
    ]
    detail: Annotated[str, Meta(description="The reason, as a sentence: the error, and what would be correct.")]
    field: Annotated[
        str | None,
        Meta(
            description="The path of the invalid field, such as `data.total`.",
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ]
    payload: Annotated[
        bytes, Meta(description="The bytes of the record as received; one part of them if they are split.")
    ]
    part: Annotated[
        int, Meta(ge=0, description="The part of the bytes in this row, from 0.", extra={"sluice": ["filter"]})
    ]
    parts: Annotated[int, Meta(ge=1, description="The number of rows over which the bytes are split.")]
    stream: Annotated[
        str | None,
        Meta(
            description="The stream that the record was for; null if no stream takes its message.",
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ] = None


class RecordTypeError(Exception):
    """The record type cannot be used; the message names the first field that is at fault, and why."""


class Versions:
    """The versions of one record type, oldest first. The table is that of the newest.

        ORDER = Versions(OrderV1, OrderV2, attribute="order-version")

    attribute   the message attribute (over HTTP, the header) that names the version; `version` if neither is given
    member      the member of the record that names it instead; each type but the oldest declares it
    names       the name of each version; by default "1", "2", … in order
    upgrades    by older type, the pure function that makes a record of it one of the next; by default its method
                `upgrade`

    A record that names no version is one of the oldest: its producer is older than the versions.
    """

    def __init__(
        self,
        *types: type[msgspec.Struct],
        attribute: str = "",
        member: str = "",
        names: Sequence[str] = (),
        upgrades: Mapping[type[msgspec.Struct], Callable[[Any], Any]] | None = None,
    ) -> None:
        """Declare the versions; the service checks them when it starts."""
        self.types, self.member, self.attribute = types, member, attribute or ("" if member else "version")
        self.names = tuple(names) or tuple(str(number) for number in range(1, len(types) + 1))
        self.upgrades = dict(upgrades or {})

    @property
    def newest(self) -> type[msgspec.Struct]:
        """The type whose records are stored."""
        return self.types[-1]

    def upgrade_of(self, older: type[msgspec.Struct]) -> Any:
        """Return what makes a record of `older` one of the next type; None if nothing is declared."""
        return self.upgrades.get(older) or getattr(older, "upgrade", None)


RecordType = type[msgspec.Struct] | Versions
"""What a stream stores: records of one type, or of its versions."""


def is_record_type(value: object) -> TypeGuard[RecordType]:
    """Return whether `value` is a record type; whether it can be stored is another question."""
    return isinstance(value, Versions) or (isinstance(value, type) and issubclass(value, msgspec.Struct))


def load_record_type(spec: str) -> RecordType:
    """Import the record type, or the `Versions` of one, that `spec` ("package.module:Type") names.

    Raises:
        RecordTypeError: nothing can be imported there, or it is neither.
    """
    try:
        record_type = import_declaration(spec, form="package.module:Type", example="app.record:Record")
    except DeclarationError as error:
        raise RecordTypeError(f"SLUICE_RECORD={spec!r} {error}") from error
    if not is_record_type(record_type):
        raise RecordTypeError(
            f"SLUICE_RECORD={spec!r} is {record_type!r}: expected a msgspec.Struct, or Versions of one"
        )
    return record_type
