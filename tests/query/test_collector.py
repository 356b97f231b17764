"""The parameters of a request, collected with everything that is wrong with any of them."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from app.http.contract import Parameter
from app.http.problems import ProblemError
from app.query.request.parameters import Parameters, one_of
from app.query.request.scan import parse_fields, queryable
from app.schema.table import records_table
from tests.contract.every import EVERY, FIELDS

KNOWN = {
    "limit": Parameter("How many.", "5", {"type": "integer"}, "1", int),
    "order": one_of("Which way.", "asc", "desc", example="asc", default="asc"),
}


def problem(given_: Parameters) -> ProblemError:
    """Return what is said of the parameters."""
    with pytest.raises(ProblemError) as raised:
        given_.check()
    return raised.value


def test_what_is_wrong_is_told_at_once_with_an_example() -> None:
    """Known parameters, filters and unknown ones alike."""
    given_ = Parameters("limit=x&limit=7&number=x&colour=red&order=up", KNOWN, FIELDS)
    assert given_.value("limit") == 1
    assert given_.value("order") == "asc"
    told = problem(given_)
    assert {error.name: error.example for error in told.errors if error.name != "limit"} == {
        "number": "42",
        "colour": None,
        "order": "asc",
    }
    assert [error.example for error in told.errors if error.name == "limit"] == ["5", "5"]
    assert told.detail.endswith("and more, see `errors`")


@pytest.mark.parametrize(("name", "said"), [("sort", "is `order`"), ("offset", "by cursors"), ("page", "by cursors")])
def test_what_other_apis_call_it_leads_to_what_it_is_here(name: str, said: str) -> None:
    """Instead of a list of everything."""
    (error,) = problem(Parameters(f"{name}=2", KNOWN, FIELDS)).errors
    assert said in error.message


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """A nested Struct."""

    floor: int


class Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A type with fields that have no role."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    names: str
    site: Place


@pytest.mark.parametrize(
    ("query", "path"), [("names.gt=1", "names"), ("names=x", "names"), ("site.floor=2", "site.floor")]
)
def test_a_field_without_the_role_is_no_unknown_parameter(query: str, path: str) -> None:
    """The error says which role it lacks and where to give it."""
    subject = queryable(records_table(Plain), 31)
    (error,) = problem(Parameters(query, KNOWN, subject.fields, subject.unfiltered)).errors
    assert error.message.startswith(f"{path} is a field without the role `filter`, which its record type may give it")


def test_there_may_be_twenty_filters() -> None:
    """More would make a query that nobody meant."""
    names = [f"{name}.{operator}" for name in ("number", "ratio", "price") for operator in ("lt", "lte", "gt", "gte")]
    names += [f"tree.{name}" for name in "abcdefghi"]
    fit = Parameters(urlencode(dict.fromkeys(names[:20], "1")), KNOWN, FIELDS)
    fit.check()
    assert len(fit.conditions) == 20
    assert "more than 20 filters" in problem(Parameters(urlencode(dict.fromkeys(names, "1")), KNOWN, FIELDS)).detail


_PATHS = ["id", "number", "site", "site.floor", "site.room", "tree", "ingest_time", "colour", "site.colour", "id.x", ""]


@given(paths=st.lists(st.sampled_from(_PATHS), min_size=1, max_size=6))
def test_fields_are_those_that_were_listed_or_an_error(paths: list[str]) -> None:
    """In their order, each once; of an object, all of its fields or some."""
    top = list(dict.fromkeys(path.partition(".")[0] for path in paths))
    wrong = {"colour", "site.colour", "id.x", ""} & set(paths)
    twice = len(set(paths)) < len(paths) or ("site" in paths and {"site.floor", "site.room"} & set(paths))
    try:
        columns = parse_fields(EVERY.columns, ",".join(paths))
    except ValueError as error:
        assert wrong or twice, error  # noqa: PT017 - either outcome is right
        return
    assert not wrong
    assert not twice
    assert [column.name for column in columns] == top
    site = [column for column in columns if column.name == "site"]
    if site and "site" not in paths:
        assert [field.name for field in site[0].fields] == [path[5:] for path in paths if path.startswith("site.")]


def test_there_may_be_two_hundred_fields() -> None:
    """A list is no way to make the service busy."""
    with pytest.raises(ValueError, match="at most 200 fields"):
        parse_fields(EVERY.columns, "id," * 30_000)
