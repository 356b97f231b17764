"""docs/api.md leaves out no parameter, header or problem of the API."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.http.contract import Parameter
from app.http.problems import CATALOGUE
from app.query.answer.contract import HEADERS
from app.query.request.parameters import (
    LAST_EVENT_ID,
    PAGE_PARAMETERS,
    RECORD_PARAMETERS,
    STATE_PARAMETERS,
    TAIL_PARAMETERS,
)
from app.query.request.stats import STATS_PARAMETERS
from tests.shop import DOCUMENT

ROOT = Path(__file__).parent.parent
TEXT = DOCUMENT.read_text()


def rows(head: str) -> list[list[str]]:
    """Return the cells of the table whose first line begins with `head`."""
    table = TEXT[TEXT.index(f"\n| {head}") :].strip().partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def quoted(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall("`([^`]+)`", text)


@pytest.mark.parametrize(
    "known", [PAGE_PARAMETERS, RECORD_PARAMETERS, STATE_PARAMETERS, STATS_PARAMETERS, TAIL_PARAMETERS]
)
def test_every_parameter_is_named(known: Mapping[str, Parameter]) -> None:
    """Each stands in backticks, alone or with a value; and so do the values it may have."""
    for name, parameter in known.items():
        assert re.search(rf"`{name}[`=]", TEXT), name
        for value in parameter.schema.get("enum", ()):
            assert re.search(rf"[`=]{value}`", TEXT), (name, value)


def test_every_header_is_named() -> None:
    """What answers may carry is in the table of headers, and nothing else is."""
    named = [name for cells in rows("header |") for name in quoted(cells[0])]
    assert sorted(named) == sorted([*HEADERS, "RateLimit", "RateLimit-Policy", "Retry-After"])
    assert f"`{LAST_EVENT_ID}`" in TEXT


def test_every_problem_is_in_its_table() -> None:
    """Each code stands beside its status."""
    told = {code: int(status) for status, codes in rows("status |") for code in quoted(codes)}
    assert told == {code: kind.status for code, kind in CATALOGUE.items()}
