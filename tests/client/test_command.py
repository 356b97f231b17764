"""`sluice-client follow`: what it stores, and what it says when it cannot."""

import re
from pathlib import Path

import duckdb
import httpx

from tests.client.command import Ended, command, line_with, run
from tests.support.process import serving


async def store(client: httpx.AsyncClient, first: int, count: int) -> None:
    """Store records."""
    records = [{"id": f"r{number}", "timestamp": "2026-01-31T12:00:00Z"} for number in range(first, first + count)]
    assert (await client.post("/v1/records", json=records)).status_code == 201


def stored(path: Path, table: str = "records") -> int:
    """Return how many records are in a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as store:
        ((count,),) = store.execute(f'SELECT count(DISTINCT delivery_key) FROM "{table}"').fetchall()  # noqa: S608
        return int(count)


def assert_is_a_mistake(ended: Ended, words: str) -> None:
    """The command ended with one readable message."""
    assert ended.status == 2, ended.said
    assert "Traceback" not in ended.said
    assert re.search(words, ended.said), ended.said


async def test_a_file_takes_the_feed_and_then_what_is_new(tmp_path: Path) -> None:
    """Once to the end; later without end, until it is stopped, with a line for what is new."""
    file = tmp_path / "orders.duckdb"
    async with serving(tmp_path / "s.duckdb") as (service, client):
        await store(client, 0, 2_500)
        words = ("follow", service.url, "--into", str(file))
        ended = await run(*words, "--once", "--name", "orders-copy")
        assert (ended.status, stored(file)) == (0, 2_500)
        (reader,) = (await client.get("/v1/readers")).json()["readers"]
        assert reader["name"] == "orders-copy"
        assert "2,500 new records" in ended.said
        assert (await run(*words, "--once", "--quiet")).said == ""
        async with command(*words, "--wait", "1") as follower:
            await line_with(follower, "100%  0 new records")
            await store(client, 2_500, 10)
            await line_with(follower, "100%  10 new records")
            follower.terminate()
            await line_with(follower, "stopped; started again, it continues from here")
            assert await follower.wait() == 130
        assert stored(file) == 2_510


async def test_filters_fields_and_rejects_have_tables_of_their_own(tmp_path: Path) -> None:
    """One file holds several feeds, each in its table with its cursor."""
    file = tmp_path / "orders.duckdb"
    async with serving(tmp_path / "s.duckdb") as (service, client):
        await store(client, 0, 20)
        await client.post("/v1/records", json=[{"id": "bad"}])
        words = ("follow", service.url, "--into", str(file), "--once", "--quiet")
        assert (await run(*words, "--where", "id.prefix=r1", "--fields", "id", "--table", "ones")).status == 0
        assert (await run(*words, "--rejects")).status == 0
        assert_is_a_mistake(
            await run(*words, "--table", "ones"), "table ones of .* follows http.*id.prefix=r1, not http"
        )
        assert_is_a_mistake(await run(*words, "--where", "id.prefix"), "--where id.prefix: write FIELD=VALUE")
        assert_is_a_mistake(await run(*words, "--where", "nothing=1", "--table", "x"), "400 .*nothing")
        assert_is_a_mistake(await run(*words, "--where", "limit=1", "--table", "x"), "not a filter: limit")
    assert (stored(file, "ones"), stored(file, "rejects")) == (11, 1)
    with duckdb.connect(str(file)) as opened:
        assert [name for (name, *_) in opened.execute("DESCRIBE ones").fetchall()] == ["id", "delivery_key"]


async def test_a_cursor_that_is_refused_can_be_replaced(tmp_path: Path) -> None:
    """The service's text is shown with the way out, which keeps records single."""
    file = tmp_path / "orders.duckdb"
    async with serving(tmp_path / "s.duckdb") as (service, client):
        await store(client, 0, 20)
        words = ("follow", service.url, "--into", str(file), "--once")
        assert (await run(*words)).status == 0
        with duckdb.connect(str(file)) as opened:
            opened.execute("UPDATE sluice_follow SET cursor = 'x' || cursor")
        await store(client, 20, 1)
        assert_is_a_mistake(await run(*words), r"400 invalid_cursor: .*\n.*--rewind --since TIME")
        ended = await run(*words, "--rewind", "--since", "-PT1H")
        assert "1 new records" in ended.said
        assert (await run(*words)).status == 0
    assert stored(file) == 21
