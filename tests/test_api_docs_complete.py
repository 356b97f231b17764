"""docs/api.md leaves nothing of the API out: parameters, headers, codes, operators, types, limits, programs."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.http import paths
from app.http.contract import Parameter
from app.http.problems import CATALOGUE
from app.query.endpoints.openapi import HEADERS
from app.query.formats.negotiation import MEDIA_TYPES
from app.query.params.parameters import (
    LAST_EVENT_ID,
    PAGE_PARAMETERS,
    RECORD_PARAMETERS,
    STATS_PARAMETERS,
    TAIL_PARAMETERS,
)
from app.schema import filters as schema_filters
from app.settings.load import Settings
from sluice.testing.service import running
from tests.documents import blocks
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


@pytest.mark.parametrize("known", [PAGE_PARAMETERS, RECORD_PARAMETERS, STATS_PARAMETERS, TAIL_PARAMETERS])
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


def test_every_operator_is_explained() -> None:
    """The table of operators has them all, and no other."""
    named = [name for cells in rows("operator |") for name in quoted(cells[0])]
    assert sorted(named) == sorted(schema_filters.OPERATORS)


def test_every_format_is_in_its_table() -> None:
    """With its media type, whose parameters are left out."""
    told = {cells[0].strip("`"): cells[1].strip("`") for cells in rows("`format` |")}
    assert told == {name: media_type.partition(";")[0] for name, media_type in MEDIA_TYPES.items()}


def test_defaults_of_settings_are_as_told() -> None:
    """A number in parentheses after a setting is its default."""
    units = {"": 1, "s": 1, "MiB": 1024**2, "GiB": 1024**3}
    told = re.findall(r"`SLUICE_([A-Z_]+)` \((\d+)(?: (s|MiB|GiB))?\)", TEXT)
    assert len(told) > 8
    for name, number, unit in told:
        assert Settings().flat()[name.lower()] == int(number) * units[unit], name


async def test_every_route_is_named() -> None:
    """What can be read at `/v1` is in the first table."""
    told = {quoted(cells[1])[0].removeprefix("GET ") for cells in rows("to read |")}
    async with running() as service:
        document = (await service.client.get("/openapi/openapi.json")).json()
    read = {path for path, item in document["paths"].items() if path.startswith("/v1/") and "get" in item}
    assert {path.replace("{record_id}", "{id}") for path in read} == told
    assert paths.RECORDS in told


def test_the_follower_stands_in_the_page_as_it_is() -> None:
    """The file of examples/clients is the page's only program."""
    program = ROOT / "examples" / "clients" / "follow.py"
    assert [block.text for block in blocks(DOCUMENT) if block.language == "python"] == [program.read_text()]
