"""The filters that the OpenAPI document names are those that the service understands."""

from typing import Any

import jsonschema_rs
import pytest

from app.openapi.document import described_parameter
from app.query.request.filters import filter_parameters, parse_filter
from app.schema.filters import filter_table
from app.schema.table import rejects_table
from tests.contract.every import FIELDS


@pytest.mark.parametrize("fields", [FIELDS, filter_table(rejects_table())])
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
