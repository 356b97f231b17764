"""What becomes of the value of a promoted column that the table lacks, over local-bigquery."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.ingest.decode.envelope import Message
from app.schema.columns import Kind
from app.schema.table import records_table, rejects_table
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.query import Condition, Deletion
from app.stores.sink import ColumnsPending, Stored
from sluice.testing.clock import FakeClock
from tests.contract.stores import T0_US
from tests.encoding import encoded, whole_envelope
from tests.stores.bigquery.test_columns_pending import append, opened
from tests.support.local_bigquery import Double

_Promoted = Meta(extra={"sluice": ["promoted"]})
_Rest = Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})]


class Parcel(msgspec.Struct, kw_only=True):
    """A type that keeps what it does not declare."""

    id: str
    rest: _Rest = {}


class ParcelLater(msgspec.Struct, kw_only=True):
    """The same, with promoted fields, and one that is not promoted."""

    id: str
    rest: _Rest = {}
    count: Annotated[int | None, _Promoted] = None
    weight: Annotated[float | None, _Promoted] = None
    text: Annotated[str | None, _Promoted] = None
    other: str | None = None


FIRST, LATER = records_table(Parcel), records_table(ParcelLater)
NAMES = tuple(column.name for column in LATER.columns)


async def test_an_erasure_may_name_a_column_that_the_table_lacks(local_bigquery: Double) -> None:
    """It matches nothing, unless the value rides in the rest; `isnull` matches every row."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as backend:
            assert isinstance(await backend.appender(LATER).check(), ColumnsPending)
            for parcel in (ParcelLater(id="full", count=2**63 - 1), ParcelLater(id="a"), ParcelLater(id="b")):
                assert await append(backend, LATER, parcel) == Stored()

            async def erased(path: str, operator: str, value: Any) -> int:
                condition = Condition(path, (), operator, LATER_KINDS[path], (value,))
                deletion = Deletion(table="records", first_us=0, last_us=2 * T0_US, conditions=(condition,))
                return await backend.eraser.delete(deletion)

            assert await erased("other", "eq", "x") == 0
            assert await erased("count", "eq", 2**63 - 1) == 1
            assert await erased("other", "isnull", value=True) == 2
    finally:
        local_bigquery.drop(place)


LATER_KINDS: dict[str, Kind] = {column.name: column.kind for column in LATER.columns}


@pytest.mark.parametrize(
    ("record", "lacking"),
    [
        pytest.param(ParcelLater(id="a", count=1, rest={"count": 2}), {"count"}, id="the rest has such a member"),
        pytest.param(ParcelLater(id="a", weight=float("inf")), {"weight"}, id="JSON has no such number"),
        pytest.param(ParcelLater(id="a", count=1), {"count", "rest"}, id="the table lacks the rest"),
        pytest.param(ParcelLater(id="a", other="x"), {"other"}, id="not promoted"),
    ],
)
def test_a_row_whose_value_has_no_place_waits(record: ParcelLater, lacking: set[str]) -> None:
    """Nothing is overwritten or lost; where it uses no missing column, a row stays as it is."""
    encoder = ProtoRowEncoder(LATER)
    row = encoded(encoder, record, whole_envelope(Message(key=record.id, data=b"", attributes={})))
    assert encoder.fitted(row, frozenset(lacking)) is None
    assert encoder.fitted(row, frozenset({"text"})) == row
