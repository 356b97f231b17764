"""The two streams of the service that Schemathesis asks: the default record, and one whose id is a number."""

from app.record import Record
from app.streams import Stream
from tests.streams.market import Payment

STREAMS = {"records": Record, "payments": Stream(record=Payment, attributes={"ce-type": "payment.made"})}
