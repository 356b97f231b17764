"""`/mcp` of a real process, before the official SDK's client, and before requests that no client sends."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from app.query.mcp.inner import MAX_ANSWER_BYTES
from app.settings.load import SettingsError, load_settings
from sluice.testing.process import Process, serving
from sluice.testing.service import SETTINGS, running
from tests.page.visits import post

KEY = "sluice_" + "a" * 43
OTHER_KEY = "sluice_" + "b" * 43
SECRET = {"id": "hidden", "source": "secret"}


@asynccontextmanager
async def agent(process: Process, *, key: str = "", mode: Any = "auto") -> AsyncIterator[Client]:
    """Connect the SDK's client."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{process.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def grants(folder: Path) -> str:
    """Write grants: one caller sees one source only, the other everything, once a minute."""
    entries = [
        {
            "name": name,
            "key_sha256": hashlib.sha256(key.encode()).hexdigest(),
            "scopes": scopes,
            "filters": filters,
            "requests_per_minute": rate,
        }
        for name, key, scopes, filters, rate in (
            ("partner", KEY, ["read"], {"source": "shop"}, 0),
            ("owner", OTHER_KEY, ["read", "write", "rejects"], {}, 3),
        )
    ]
    path = folder / "grants.json"
    path.write_bytes(msgspec.json.encode({"grants": entries}))
    return str(path)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_finds_its_way(mode: str, tmp_path: Path) -> None:
    """By the newest revision and by the handshake of the older ones: schema, records, one of them, statistics."""
    async with serving(tmp_path / "data.duckdb", mcp="true") as (process, client):
        await post(client, {"source": "shop"}, {"source": "shop"}, {"source": "bank"})
        async with agent(process, mode=mode) as asked:
            tools = (await asked.list_tools()).tools
            assert [tool.name for tool in tools][:2] == ["get_schema", "query_records"]
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
            schema = await asked.call_tool("get_schema", {})
            assert schema.structured_content == (await client.get("/v1/schema")).json()
            page: Any = {"records": []}
            while len(page["records"]) < 2:
                found = await asked.call_tool("query_records", {"filters": {"source": "shop"}, "fields": "id,source"})
                page = found.structured_content
            assert page["records"] == [{"id": "r0", "source": "shop"}, {"id": "r1", "source": "shop"}]
            one = await asked.call_tool("get_record", {"id": "r2"})
            assert one.structured_content is not None
            assert one.structured_content["source"] == "bank"
            counted = await asked.call_tool("get_statistics", {"by": "source", "bucket": "P1D"})
            assert counted.structured_content is not None
            assert msgspec.json.decode(counted.content[0].text) == counted.structured_content  # type: ignore[union-attr]
            direct = (await client.get("/v1/records/stats?by=source&bucket=P1D")).json()
            assert counted.structured_content["series"] == direct["series"] != []


async def test_grants_limits_and_errors_are_those_of_the_api(tmp_path: Path) -> None:
    """A fixed filter hides what it hides; what is refused is told with its reason; a call counts as a request."""
    async with serving(tmp_path / "data.duckdb", mcp="true", grants_file=grants(tmp_path)) as (
        process,
        client,
    ):
        client.headers["Authorization"] = f"Bearer {OTHER_KEY}"
        await post(client, {"source": "shop"}, SECRET)
        async with agent(process, key=KEY) as partner:
            found: Any = {"records": []}
            while not found["records"]:
                found = (await partner.call_tool("query_records", {})).structured_content
            assert [record["id"] for record in found["records"]] == ["r0"]
            for name, given_, said in (
                ("get_record", {"id": "hidden"}, "there is no record with the id 'hidden'"),
                ("query_records", {"filters": {"nope": 1}}, "nope"),
                ("query_records", {"since": "yesterday"}, "since"),
                ("list_rejects", {}, "rejects"),
                ("frobnicate", {}, "there is no tool 'frobnicate'; the tools are get_schema"),
            ):
                refused = await partner.call_tool(name, given_)
                assert refused.is_error, name
                assert said in refused.content[0].text  # type: ignore[union-attr]
        async with agent(process, key=OTHER_KEY) as owner:
            told = ""
            while "Try again in" not in told:
                answer = await owner.call_tool("query_records", {})
                told = answer.content[0].text  # type: ignore[union-attr]
            assert answer.is_error
            assert "rate_limited" in told or "requests" in told


async def test_who_is_nobody_is_told_so_by_http(tmp_path: Path) -> None:
    """As at every other path of the API; the client finds no server to talk to."""
    async with serving(tmp_path / "data.duckdb", mcp="true", grants_file=grants(tmp_path)) as (_, client):
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for headers, code in (({}, "missing_token"), ({"Authorization": f"Bearer sluice_{'c' * 43}"}, "invalid_token")):
            answer = await client.post("/mcp", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, code)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_page_of_another_origin_cannot_ask(tmp_path: Path) -> None:
    """Without keys the service answers this machine only, and no web page that happens to be open there."""
    async with serving(tmp_path / "data.duckdb", mcp="true") as (_, client):
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            answer = await client.post("/mcp", json=body, headers=headers | ACCEPTED)
            assert answer.status_code == 403, headers


ACCEPTED = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


async def test_there_are_no_sessions(tmp_path: Path) -> None:
    """So there is nothing to open or to close."""
    async with serving(tmp_path / "data.duckdb", mcp="true") as (_, client):
        for method in ("GET", "DELETE", "PUT"):
            answer = await client.request(method, "/mcp")
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
            assert answer.json()["code"] == "method_not_allowed"


async def test_too_much_for_an_agent_is_told(tmp_path: Path) -> None:
    """Instead of an answer that it cannot read; a smaller one follows."""
    async with serving(tmp_path / "data.duckdb", mcp="true") as (process, client):
        long = "x" * (MAX_ANSWER_BYTES // 10)
        await post(client, *({"data": {"text": long}} for _ in range(15)))
        async with agent(process) as asked:
            said = ""
            while "KiB" not in said:
                said = (await asked.call_tool("query_records", {})).content[0].text  # type: ignore[union-attr]
            assert "ask for fewer `fields`, a smaller `limit`" in said
            few = await asked.call_tool("query_records", {"fields": "id"})
            assert few.structured_content is not None
            assert len(few.structured_content["records"]) == 15


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_CALLS = st.fixed_dictionaries(
    {
        "jsonrpc": st.just("2.0") | _JSON,
        "id": st.integers() | st.text(max_size=5) | _JSON,
        "method": st.sampled_from(["tools/call", "tools/list", "initialize", "server/discover", "ping"]) | st.text(),
        "params": st.fixed_dictionaries(
            {"name": st.sampled_from(["query_records", "get_record", "get_schema", ""]) | _JSON, "arguments": _JSON}
        )
        | _JSON,
    }
)


async def test_whatever_is_sent_is_answered_in_order(tmp_path: Path) -> None:
    """Neither a status of 500 nor a traceback, by either revision; the service goes on."""
    async with serving(tmp_path / "data.duckdb", mcp="true") as (process, client):
        bodies: list[bytes] = []

        @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
        @given(_CALLS.map(msgspec.json.encode) | _JSON.map(msgspec.json.encode) | st.binary(max_size=50))
        def collect(body: bytes) -> None:
            bodies.append(body)

        collect()
        for body in bodies:
            for revision in ({}, {"MCP-Protocol-Version": "2026-07-28"}, {"MCP-Protocol-Version": "1900-01-01"}):
                answer = await client.post("/mcp", content=body, headers=ACCEPTED | revision)
                assert answer.status_code < 500, (body, answer.text)
                assert "Traceback" not in answer.text
        large = await client.post("/mcp", content=b"x" * 1_000_000, headers=ACCEPTED)
        assert large.status_code == 413
        assert (await client.get("/health/ready")).status_code == 200
        process.process.terminate()
        await process.process.wait()
        assert process.process.stdout is not None
        assert b"Traceback" not in await process.process.stdout.read()


async def test_without_the_setting_there_is_nothing(tmp_path: Path) -> None:
    """Nor with it on an instance that does not read."""
    for changed in ({}, {"mcp": "true", "roles": "ingest"}):
        async with serving(tmp_path / "data.duckdb", **changed) as (_, client):
            assert (await client.post("/mcp", json={}, headers=ACCEPTED)).status_code == 404


async def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that has it."""
    monkeypatch.setitem(__import__("sys").modules, "mcp.server.lowlevel.server", None)
    with pytest.raises(SettingsError, match=r"SLUICE_MCP=true needs the package mcp.*: sluice\[mcp\] has it"):
        async with running(SETTINGS.replace(mcp=True)):
            pass


def test_the_setting_is_read() -> None:
    """As every bool."""
    assert load_settings({"SLUICE_MCP": "true"}).server.mcp
