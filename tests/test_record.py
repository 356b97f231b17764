from app.ingest.decode.envelope import Message
from app.record import Envelope
from app.schema.columns import columns_of


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
