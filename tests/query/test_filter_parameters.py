"""The filters that the OpenAPI document names are those that the service understands."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from msgspec import Meta

from app.openapi.document import described_parameter
from app.query.request.filters import filter_parameters, parse_filter
from app.record import Record
from app.schema.filters import filter_table
from app.schema.table import records_table, rejects_table

_FILTER: Any = {"sluice": ["filter"]}


class Filtered(msgspec.Struct, forbid_unknown_fields=True):
    """A field of every kind that can be filtered by."""

    flag: Annotated[bool, Meta(extra=_FILTER)]
    number: Annotated[int, Meta(extra=_FILTER)]
    ratio: Annotated[float, Meta(extra=_FILTER)]
    price: Annotated[Decimal, Meta(extra=_FILTER)]
    text: Annotated[str, Meta(extra=_FILTER)]
    raw: Annotated[bytes, Meta(extra=_FILTER)]
    key: Annotated[UUID, Meta(extra=_FILTER)]
    at: Annotated[datetime, Meta(tz=True, extra=_FILTER)]
    day: Annotated[date, Meta(extra=_FILTER)]
    clock: Annotated[time, Meta(tz=False, extra=_FILTER)]
    tree: Annotated[Any, Meta(extra=_FILTER)]
    silent: str


FIELDS = [filter_table(table) for table in (records_table(Filtered), records_table(Record), rejects_table())]


@pytest.mark.parametrize("fields", FIELDS)
def test_every_documented_filter_is_understood(fields: Any) -> None:
    """Its example is a value of the field, by the service and by the schema; every field and operator is there."""
    documented = filter_parameters(fields)
    understood = set()
    for name, parameter in documented.items():
        assert parameter.example is not None
        condition = parse_filter(fields, name, parameter.example)
        assert condition is not None, name
        understood.add((condition.path, condition.operator))
        assert parameter.description.endswith(".")
    assert understood == {(path, operator) for path, field in fields.items() for operator in field.operators}
    for name, parameter in documented.items():
        found = described_parameter(name, parameter)
        assert jsonschema_rs.validator_for(found["schema"]).is_valid(found["example"]), name
