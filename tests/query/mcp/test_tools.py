"""The tools: what they describe, and the request that each call is."""

from urllib.parse import parse_qs

import jsonschema
import msgspec
import pytest

from app.query.mcp.tools import DEFAULT_LIMIT, MAX_LIMIT, ArgumentsError, Ask, tools_of
from app.record import Record
from app.streams import make_streams, single_stream

ONE = {tool.name: tool for tool in tools_of(single_stream(Record))}


class Nameless(msgspec.Struct, forbid_unknown_fields=True):
    """A record without an id."""

    page: str


SEVERAL = {
    tool.name: tool
    for tool in tools_of(make_streams({"records": Record, "visits": Nameless}, default_retention_days=30))
}


def test_a_single_type_needs_no_stream() -> None:
    """Several streams are listed, and each tool takes one."""
    assert list(ONE) == ["get_schema", "query_records", "get_record", "get_statistics", "list_rejects"]
    assert list(SEVERAL) == ["list_streams", *ONE]
    assert all("stream" not in tool.arguments for tool in ONE.values())
    assert all("stream" in SEVERAL[name].arguments for name in ONE)


def test_records_without_an_id_cannot_be_looked_up() -> None:
    """So there is no tool that would always fail."""
    assert "get_record" not in [tool.name for tool in tools_of(single_stream(Nameless))]


@pytest.mark.parametrize("tool", SEVERAL.values(), ids=lambda tool: tool.name)
def test_every_schema_is_one_and_describes_each_argument(tool: object) -> None:
    """An independent validator reads it."""
    schema = tool.schema()  # type: ignore[attr-defined]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert all(len(argument["description"]) > 10 for argument in schema["properties"].values())


@pytest.mark.parametrize(
    ("name", "given", "path", "query"),
    [
        ("get_schema", {}, "/v1/schema", {}),
        ("get_schema", {"stream": "visits"}, "/v1/streams/visits/schema", {}),
        ("query_records", {}, "/v1/records", {"limit": "20"}),
        (
            "query_records",
            {"stream": "records", "limit": 5, "since": "-PT1H", "filters": {"source": "a&b", "data.n.gte": 2}},
            "/v1/streams/records/records",
            {"limit": "5", "since": "-PT1H", "source": "a&b", "data.n.gte": "2"},
        ),
        ("query_records", {"filters": {"data.paid": True}}, "/v1/records", {"limit": "20", "data.paid": "true"}),
        ("get_record", {"id": "a/b ?", "versions": "all"}, "/v1/records/a%2Fb%20%3F", {"versions": "all"}),
        (
            "get_statistics",
            {"metric": "count", "by": "source"},
            "/v1/records/stats",
            {"metric": "count", "by": "source"},
        ),
        ("list_rejects", {"filters": {"reason": "invalid"}}, "/v1/rejects", {"limit": "20", "reason": "invalid"}),
        ("list_streams", {}, "/v1/streams", {}),
    ],
)
def test_a_call_is_a_request_of_the_api(name: str, given: dict[str, object], path: str, query: dict[str, str]) -> None:
    """Everything is quoted, and there is a small limit where none is given."""
    asked = SEVERAL[name].request(given)
    assert asked.path == path
    assert parse_qs(asked.query) == {key: [value] for key, value in query.items()}


def test_a_stream_cannot_lead_elsewhere() -> None:
    """It is one part of the path."""
    assert SEVERAL["get_schema"].request({"stream": "../../metrics"}) == Ask("/v1/streams/..%2F..%2Fmetrics/schema")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limt": 5}, "limt: there is no such argument"),
        ({"limit": MAX_LIMIT + 1}, f"limit: expected a whole number from 1 to {MAX_LIMIT}"),
        ({"limit": 0}, "limit: expected a whole number from 1"),
        ({"limit": True}, "limit: expected a whole number"),
        ({"limit": "all"}, "limit: expected a whole number"),
        ({"since": 5}, "since: expected a text"),
        ({"filters": "source=a"}, "filters: expected an object of texts, numbers and bools"),
        ({"filters": {"source": ["a"]}}, "filters: expected an object of texts"),
        ({"since": 5, "until": 6}, "since: expected a text; until: expected a text"),
    ],
)
def test_arguments_that_cannot_be_used_are_all_named(given: dict[str, object], said: str) -> None:
    """With the arguments that there are; what they agree on, the schema refuses too."""
    with pytest.raises(ArgumentsError) as refused:
        ONE["query_records"].request(given)
    assert said in str(refused.value)
    assert "arguments of query_records: since, until, cursor" in str(refused.value)
    assert list(jsonschema.Draft202012Validator(ONE["query_records"].schema()).iter_errors(given))


def test_an_id_is_required() -> None:
    """And not empty."""
    with pytest.raises(ArgumentsError, match="id: it is required"):
        ONE["get_record"].request({})
    with pytest.raises(ArgumentsError, match="id: expected a text that is not empty"):
        ONE["get_record"].request({"id": ""})


def test_a_page_is_small() -> None:
    """An agent reads every record of it."""
    assert DEFAULT_LIMIT < MAX_LIMIT < 1000
