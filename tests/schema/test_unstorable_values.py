"""What the type allows and no column holds."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.schema.reading import rejected
from tests.schema.values import SAMPLES

_Sparse = msgspec.defstruct(
    "Sparse", [(name, sample.annotation | None, None) for name, sample in SAMPLES.items()], forbid_unknown_fields=True
)


@pytest.mark.parametrize(
    ("field", "sent", "detail"),
    [
        ("int", "9223372036854775808", "does not fit in 64 bits"),
        ("decimal", '"NaN"', "not a finite number"),
        ("decimal", '"-Infinity"', "not a finite number"),
        ("decimal", '"0.0000000001"', "has 10 decimal places: expected at most 9"),
        ("decimal", '"100000000000000000000000000000"', "has 30 digits before the point: expected at most 29"),
        ("decimal", '"1E+999999999"', "has 1000000000 digits before the point"),
        ("decimal", '"1E-999999999"', "has 999999999 decimal places"),
        ("instant", '"2026-01-31T12:00:00"', "timezone"),
        ("instant", '"0001-01-01T00:00:00+05:00"', "is outside the years 1 to 9999"),
        ("time", '"12:00:00+01:00"', "has a UTC offset"),
        ("bytes", '"not base64!"', "Invalid base64"),
    ],
)
def test_a_value_that_no_column_holds_is_rejected(field: str, sent: str, detail: str) -> None:
    """What the type allows and the store cannot hold is rejected by name, and nothing of it is stored."""
    rejects = rejected(_Sparse, f'{{"{field}": {sent}}}'.encode())
    assert [(reject.reason, reject.field) for reject in rejects] == [("invalid", field)]
    assert detail in rejects[0].detail


class _Fare(msgspec.Struct, forbid_unknown_fields=True):
    amount: Decimal
    paid_time: datetime | None = None


class _Leg(msgspec.Struct, forbid_unknown_fields=True):
    fare: Decimal = Decimal(0)
    fares: list[_Fare] = []
    numbers: list[int] = []
    paid: _Fare | None = None


class _Journey(msgspec.Struct, forbid_unknown_fields=True):
    legs: list[_Leg]
    first: _Leg | None = None


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"legs": [{}, {"fare": "NaN"}]}, "legs[1].fare"),
        ({"legs": [{"numbers": [1, 2, 2**63]}]}, "legs[0].numbers[2]"),
        ({"legs": [{"fares": [{"amount": 1}, {"amount": "0.0000000001"}]}]}, "legs[0].fares[1].amount"),
        ({"legs": [], "first": {"paid": {"amount": "1E+30"}}}, "first.paid.amount"),
        ({"legs": [{"paid": {"amount": 1, "paid_time": "2026-01-31T12:00:00"}}]}, "legs[0].paid.paid_time"),
    ],
)
def test_the_path_of_a_rejected_value_leads_through_lists_and_structs(sent: dict[str, Any], field: str) -> None:
    """The field of a rejection says which item of which list holds the value."""
    rejects = rejected(_Journey, msgspec.json.encode(sent))
    assert [reject.field for reject in rejects] == [field]
    assert rejects[0].detail.startswith(f"{field} ")
