from typing import Any

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.record import Envelope, Record
from app.schema.columns import columns_of

_GOOD = {"id": "order-1042", "timestamp": "2026-01-31T12:00:00Z"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": ""}, r"length >= 1 - at `\$\.id`"),
        ({"id": "a" * 129}, r"length <= 128 - at `\$\.id`"),
        ({"timestamp": "2026-01-31T12:00:00"}, r"timezone component - at `\$\.timestamp`"),
        ({"sauce": "x"}, r"unknown field `sauce`"),
    ],
)
def test_a_bad_record_is_refused_by_field(changed: dict[str, Any], message: str) -> None:
    """Each constraint names the field that breaks it; a misspelt field is not silently lost."""
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.json.decode(msgspec.json.encode({**_GOOD, **changed}), type=Record)


def test_the_first_five_columns_are_those_of_a_bigquery_subscription() -> None:
    """The names are write_metadata's, so that moving from a BigQuery subscription keeps every query."""
    assert [column.name for column in columns_of(Envelope)][:5] == [
        *("subscription_name", "message_id", "publish_time", "attributes", "ordering_key"),
    ]


def test_a_message_fills_the_envelope() -> None:
    """What its records share is every column of it but the place and the key of each, and the stamp of the attempt."""
    message = Message(key="1:2", data=b"")
    own = {"message_index", "delivery_key", "ingest_time"}
    assert set(message.envelope()) == set(Envelope.__struct_fields__) - own
