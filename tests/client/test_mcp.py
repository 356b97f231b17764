"""`sluice-client mcp` before the official SDK's client: a process for each way to connect, else tools in this loop."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client import Transport
from mcp_types import CallToolResult

from app.query.request.parameters import PAGE_PARAMETERS, RECORD_PARAMETERS, STATE_PARAMETERS, TAIL_PARAMETERS
from app.query.request.stats import STATS_PARAMETERS
from app.settings.load import Settings
from sluice.testing.pace import patience_s
from sluice.testing.service import SETTINGS, running
from sluice_client.connection import AsyncConnection, Token
from sluice_client.connection import Settings as Connecting
from sluice_client.mcp.server import make_server
from sluice_client.mcp.tools import DEFAULT_LIMIT, MAX_LIMIT, MAX_RESULT_BYTES, PARAMETERS, TOOLS
from sluice_client.token_option import token_of
from tests.auth.callers import KEY, granting, key_grant
from tests.client.command import command
from tests.page.visits import post
from tests.support.process import ROOT, free_port, serving


@asynccontextmanager
async def beside(settings: Settings = SETTINGS, token: Token = None) -> AsyncIterator[tuple[httpx.AsyncClient, Client]]:
    """Run a service in this loop; give a client of it, and the SDK's client of the tools over it."""
    async with running(settings) as service, agent(token, httpx.ASGITransport(app=service.app)) as client:
        yield service.client, client


@asynccontextmanager
async def agent(token: Token, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[Client]:
    """Connect the SDK's client of the tools, in this loop."""
    connection = AsyncConnection(Connecting(f"http://127.0.0.1:{free_port()}", token), transport, no_pause)
    async with Client(make_server(connection)) as client:
        yield client
    await connection.close()


async def no_pause(_: float) -> None:
    """Ask again at once."""


async def call(client: Client, tool: str, **arguments: Any) -> list[str]:
    """Return the texts of a call that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return texts(result)


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """Return the text of a call that fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.content
    (text,) = texts(result)
    return text


def texts(result: CallToolResult) -> list[str]:
    """Return the texts of a result."""
    return [content.text for content in result.content if content.type == "text"]


async def until(client: Client, is_there: Callable[[Any], bool], tool: str, **arguments: Any) -> Any:
    """Call until the JSON of the result satisfies a condition: records are settled soon after they are stored."""
    async with asyncio.timeout(patience_s(30)):
        while not is_there(found := msgspec.json.decode((await call(client, tool, **arguments))[0])):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    return found


def has(count: int) -> Callable[[Any], bool]:
    """Whether a page has so many records."""
    return lambda page: len(page["records"]) == count


def on_stdio(url: str) -> Transport:
    """Return the command as a process."""
    arguments = ["-m", "sluice_client", "mcp", url]
    return stdio_client(StdioServerParameters(command=sys.executable, args=arguments, cwd=ROOT))


async def test_an_agent_finds_its_way_on_stdio(tmp_path: Path) -> None:
    """Schema, records of a filter, one of them, statistics, rejects; each is the JSON of the API."""
    async with serving(tmp_path / "s.duckdb") as (service, http), Client(on_stdio(service.url)) as client:
        await post(http, {"source": "shop"}, {"source": "shop"}, {"source": "bank"})
        await http.post("/v1/records", json={"id": "bad"})
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == [tool.name for tool in TOOLS]
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        assert "404 not_found" in await refusal(client, "list_streams")
        assert msgspec.json.decode((await call(client, "get_schema"))[0]) == (await http.get("/v1/schema")).json()
        page = await until(client, has(2), "query_records", filters={"source": "shop"}, fields="id,source")
        assert page["records"] == [{"id": "r0", "source": "shop"}, {"id": "r1", "source": "shop"}]
        first = await until(client, has(1), "query_records", limit=1, fields="id")
        rest = await until(client, has(2), "query_records", cursor=first["next_cursor"], fields="id")
        assert [record["id"] for record in first["records"] + rest["records"]] == ["r0", "r1", "r2"]
        (one,) = await call(client, "get_record", id="r2")
        assert msgspec.json.decode(one) == (await http.get("/v1/records/r2")).json()
        await post(http, {"id": "r2", "source": "shop"})
        state = await until(client, lambda page: page["records"][-1]["source"] == "shop", "query_state")
        assert [record["id"] for record in state["records"]] == ["r0", "r1", "r2"]
        asked = {"filters": {"source": "bank"}, "fields": "id"}
        assert (await until(client, has(0), "query_state", **asked))["next_cursor"] is None
        past = await until(client, has(1), "query_state", as_of=rest["window"]["until"], **asked)
        assert past["records"] == [{"id": "r2"}]
        counted = msgspec.json.decode((await call(client, "get_statistics", by="source", bucket="P1D"))[0])
        direct = (await http.get("/v1/records/stats?by=source&bucket=P1D")).json()
        assert counted["series"] == direct["series"] != []
        rejects = await until(client, has(1), "list_rejects", fields="reason")
        assert rejects["records"] == [{"reason": "invalid"}]


async def test_an_agent_finds_its_way_over_http(tmp_path: Path) -> None:
    """On a loopback port, and before no page of another origin."""
    async with serving(tmp_path / "s.duckdb", streams="sluice.local.flights.streams:STREAMS") as (service, _):
        port = free_port()
        url = f"http://127.0.0.1:{port}/mcp"
        async with command("mcp", service.url, "--http", str(port)), httpx.AsyncClient() as http:
            async with asyncio.timeout(patience_s(30)):
                while not await _answers(http, url):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            async with Client(url) as client:
                assert "flights" in (await call(client, "list_streams"))[0]
                assert '"path":"/v1/streams/flights/records"' in (await call(client, "get_schema", stream="flights"))[0]
                assert "404 not_found" in await refusal(client, "query_records", stream="../../metrics")
            for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
                assert (await http.post(url, json={}, headers=headers)).status_code in {403, 421}


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.post(url, json={})).status_code > 0
    except httpx.ConnectError:
        return False


async def test_records_named_like_endpoints_are_found() -> None:
    """By a filter, as `tail` and `stats` in a path are other endpoints; where to look for older ones is said."""
    async with beside(SETTINGS.replace(max_window_days=2)) as (http, client):
        ids = ["tail", "stats", "stats/", "//tail", "//", "..", "a/b ?"]
        await post(http, *({"id": each, "source": "first"} for each in ids))
        await post(http, *({"id": each, "source": "second"} for each in ids))
        for each in ids[:-1]:
            found, note = await call(client, "get_record", id=each, fields="id,source")
            assert msgspec.json.decode(found)["records"] == [{"id": each, "source": "second"}]
            assert "of the last 1 days" in note
            assert 'the filter "id" finds older ones' in note
            versions = msgspec.json.decode((await call(client, "get_record", id=each, versions="all"))[0])
            assert [record["source"] for record in versions["records"]] == ["second", "first"]
        (found,) = await call(client, "get_record", id="a/b ?")
        assert msgspec.json.decode(found)["source"] == "second"


async def test_a_result_is_bounded_and_says_how_to_go_on() -> None:
    """A page is cut where its cursor continues; what cannot be cut is refused with what to ask for instead."""
    async with beside() as (http, client):
        long, longest = "x" * (MAX_RESULT_BYTES // 8), "x" * MAX_RESULT_BYTES
        await post(http, *({"data": {"text": long}} for _ in range(18)))
        seen, cursor = list[str](), dict[str, str]()
        while True:
            page, *notes = await call(client, "query_records", **cursor)
            assert len(page) <= MAX_RESULT_BYTES
            decoded = msgspec.json.decode(page)
            seen += [record["id"] for record in decoded["records"]]
            if decoded["next_cursor"] is None:
                break
            assert "Cut to 5 records" in notes[0]
            assert "`next_cursor` as the argument `cursor` continues" in notes[0]
            cursor = {"cursor": decoded["next_cursor"]}
        assert sorted(seen) == sorted(f"r{number}" for number in range(18))
        await post(http, {"id": "longest", "data": {"text": longest}})
        assert "name fewer `fields`" in await refusal(client, "get_record", id="longest")
        said = await refusal(client, "query_records", filters={"id": "longest"})
        assert said == "one record has more than 128 KiB: name fewer `fields`"


async def test_errors_are_those_of_the_service(tmp_path: Path) -> None:
    """A grant hides what it hides; each refusal has the text of its problem, and a caller without a key none."""
    settings = granting(tmp_path, key_grant(scopes=["read", "write"], filters={"source": "shop"}))
    async with running(settings) as service:
        transport = httpx.ASGITransport(app=service.app)
        service.client.headers["Authorization"] = f"Bearer {KEY}"
        await post(service.client, {"source": "shop"}, {"id": "hidden", "source": "secret"})
        async with agent(KEY, transport) as client:
            assert [
                each["id"] for each in msgspec.json.decode((await call(client, "query_records"))[0])["records"]
            ] == ["r0"]
            for tool, given, said in (
                ("get_record", {"id": "hidden"}, "404 not_found: "),
                ("query_records", {"filters": {"nope": 1}}, "nope"),
                ("query_records", {"since": "yesterday"}, "since: "),
                ("list_rejects", {}, "403 insufficient_scope: "),
            ):
                assert said in await refusal(client, tool, **given)
        token = tmp_path / "token"
        token.write_text(f"{KEY}\n")
        async with agent(token_of(argparse.Namespace(token_file=token)), transport) as client:
            assert "r0" in (await call(client, "query_records"))[0]
            token.unlink()
            assert f"No such file or directory: '{token}'" in await refusal(client, "query_records")
        async with agent(None, transport) as client:
            assert "401 missing_token" in await refusal(client, "get_schema")
    async with agent(None) as client:
        assert "did not answer" in await refusal(client, "get_schema")


REFUSED: Mapping[str, Mapping[str, Any]] = {
    "'limt' was unexpected": {"limt": 5},
    "limit: 201 is greater than the maximum of 200": {"limit": MAX_LIMIT + 1},
    "limit: 'all' is not of type 'integer'": {"limit": "all"},
    "since: 5 is not of type 'string'": {"since": 5},
    "filters.source: ['a'] is not of type": {"filters": {"source": ["a"]}},
    "filters: not a filter: limit (for a field of this name write limit.eq)": {"filters": {"limit": "all"}},
    "filters: not a filter: fields, format": {"filters": {"format": "csv", "fields": "id"}},
    "400 invalid_parameter": {"filters": {"limit.eq": 1}},
}


async def test_what_cannot_be_asked_is_refused() -> None:
    """With the argument and what would be right; no filter is another parameter of the API."""
    async with beside() as (_, client):
        for said, given in REFUSED.items():
            assert said in await refusal(client, "query_records", **given)
        assert "the tools are list_streams" in await refusal(client, "frobnicate")


def test_every_parameter_of_the_api_is_an_argument_or_no_filter() -> None:
    """So that a filter can override none, also of those that the API gets later."""
    parameters = {*PAGE_PARAMETERS, *RECORD_PARAMETERS, *STATE_PARAMETERS, *STATS_PARAMETERS, *TAIL_PARAMETERS}
    assert parameters == PARAMETERS
    for tool in TOOLS:
        jsonschema.Draft202012Validator.check_schema(tool.schema())
        assert {*tool.arguments} - {"stream", "id", "filters"} <= parameters
    assert DEFAULT_LIMIT < MAX_LIMIT < 1000
