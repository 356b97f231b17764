"""docs/mcp.md: its tools and configurations are those that there are. tests/documentation executes its commands."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.query.mcp.inner import MAX_ANSWER_BYTES
from app.query.mcp.server import MAX_REQUEST_BYTES
from app.query.mcp.tools import DEFAULT_LIMIT, MAX_LIMIT
from sluice.testing.process import serving
from tests.documents import code_blocks
from tests.page.visits import post
from tests.query.mcp.test_endpoint import KEY, OTHER_KEY, grants
from tests.query.mcp.test_tools import SEVERAL
from tests.rules import ROOT

DOCUMENT = ROOT / "docs" / "mcp.md"
TEXT = DOCUMENT.read_text()


def test_every_tool_is_listed_with_its_arguments() -> None:
    """In the order of the list that an agent gets."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", TEXT.partition("## The tools")[2], re.MULTILINE)
    listed = {name: set(re.findall(r"`(\w+)`", arguments)) for name, arguments in rows}
    assert listed == {name: set(tool.arguments) for name, tool in SEVERAL.items()}
    assert list(listed) == list(SEVERAL)


def test_the_limits_are_those_of_the_code() -> None:
    """Of a message, an answer, and a page."""
    assert MAX_REQUEST_BYTES == MAX_ANSWER_BYTES == 256 * 1024
    assert TEXT.count("at most 256 KiB") == 2
    assert f"`limit` is {DEFAULT_LIMIT} unless it is given, and at most {MAX_LIMIT}" in TEXT


async def test_the_client_with_a_key_is_the_one_that_is_shown(tmp_path: Path) -> None:
    """It sees the records of its key's grant; one with an unknown key finds no server to talk to."""
    (shown,) = [block for block in code_blocks(DOCUMENT, "python") if "def agent_with" in block]
    async with serving(tmp_path / "data.duckdb", mcp="true", grants_file=grants(tmp_path)) as (process, client):
        client.headers["Authorization"] = f"Bearer {OTHER_KEY}"
        await post(client, {"source": "shop"}, {"source": "bank"})
        names: dict[str, Any] = {}
        exec(compile(shown.replace("http://127.0.0.1:8080", process.url), "docs/mcp.md", "exec"), names)  # noqa: S102
        async with names["agent_with"](KEY) as agent:
            records: list[Any] = []
            while not records:
                page = (await agent.call_tool("query_records", {"fields": "id,source"})).structured_content
                records = page["records"]
            assert records == [{"id": "r0", "source": "shop"}]
        with pytest.raises(BaseExceptionGroup):
            async with names["agent_with"]("sluice_" + "z" * 43):
                pass


def test_each_configuration_can_be_read_and_has_the_key_once() -> None:
    """As TOML and JSON; all of them ask the same server."""
    read: list[Any] = [tomllib.loads(block) for block in code_blocks(DOCUMENT, "toml")]
    read += [msgspec.json.decode(block) for block in code_blocks(DOCUMENT, "json")]
    assert len(read) == 3
    for configuration in read:
        (servers,) = [each for name, each in configuration.items() if "erver" in name]
        assert servers["orders"]["url"] == "https://orders.example.com/mcp"
        assert "KEY" in str(servers) or "key" in str(servers)
