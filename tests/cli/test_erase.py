"""`sluice erase`: what it finds, what it asks, and what its exit status says."""

import argparse
import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.query.erase import Erased, Erasure
from app.runtime.clock import SystemClock
from app.stores.duckdb.store import EmbeddedStore
from sluice.cli.erase import GOOD, REMAINS, WRONG, add_arguments, run
from tests.documents import blocks
from tests.stores.duckdb.test_store import RECORDS, REJECTS, row
from tests.support.process import ROOT

ID = "order-1042"


def main(arguments: list[str], environ: dict[str, str], confirm: Callable[[str], str] = input) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments), environ, confirm)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give the settings of a store with two versions of a record, and another one."""
    path = tmp_path / "data.duckdb"

    async def fill() -> None:
        store = EmbeddedStore.open(str(path), (RECORDS, REJECTS), SystemClock())
        appender = store.appender(RECORDS)
        for key, record_id in (("a", ID), ("b", ID), ("c", "other")):
            await appender.append([row(appender, record_id, key=key)])
        store.close()

    asyncio.run(fill())
    return {"SLUICE_DATA_PATH": str(path)}


def check(environ: dict[str, str]) -> int:
    """Return the status of a look."""
    return main(["--id", ID, "--check"], environ)


def test_a_check_erases_nothing(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """It counts, and its status says whether there is anything."""
    assert check(environ) == check(environ) == REMAINS
    assert "found: 2 rows" in capsys.readouterr().out


def test_an_erasure_asks_for_the_count(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Another answer, or nobody who answers, erases nothing; the right one erases all and leaves no id in the log."""

    def nobody(_: str) -> str:
        raise EOFError

    assert main(["--id", ID], environ, lambda _: "yes") == REMAINS
    assert main(["--id", ID], environ, nobody) == REMAINS
    assert main(["--id", ID], environ, lambda _: "2") == GOOD
    told = capsys.readouterr()
    assert "erased: 2 rows" in told.out
    assert ID not in told.err
    assert check(environ) == GOOD
    assert main(["--id", ID, "--yes"], environ) == GOOD, "there is nothing left to erase"


def test_what_remains_is_no_success(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The status says so to a script, and the words when to come again."""

    async def held_back(_: Erasure, __: str) -> Erased:
        return Erased(1, 1)

    monkeypatch.setattr(Erasure, "erase", held_back)
    assert main(["--id", ID, "--yes"], environ) == REMAINS


def test_a_store_that_is_in_use_is_an_error(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its process has the file alone; so has one whose settings are wrong."""
    environ["SLUICE_DATA_PATH"] = environ["SLUICE_DATA_PATH"].replace("data.duckdb", "")
    assert main(["--id", ID, "--yes"], environ) == WRONG
    assert main(["--id", ID, "--yes"], {"SLUICE_BACKEND": "none"}) == WRONG
    assert "the erasure stopped early" in capsys.readouterr().err


def test_an_id_that_no_record_has_is_an_error(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A record type may have numbers for ids, or none at all."""
    numbered = {**environ, "SLUICE_RECORD": "tests.contract.service:Numbered"}
    assert main(["--id", "x", "--yes"], numbered) == WRONG
    assert main(["--id", "x", "--yes"], {**environ, "SLUICE_RECORD": "tests.contract.service:Nameless"}) == WRONG
    assert "no record can have this id" in capsys.readouterr().err


def test_the_documented_copy_of_the_file_has_no_byte_of_an_erased_record(tmp_path: Path) -> None:
    """What is alive is copied, and the service opens it."""
    path = tmp_path / "data.duckdb"

    async def erase() -> None:
        store = EmbeddedStore.open(str(path), (RECORDS, REJECTS), SystemClock())
        store._connection.execute("PRAGMA force_compression = 'uncompressed'")
        appender = store.appender(RECORDS)
        for record_id in (ID, *map(str, range(100))):
            await appender.append([row(appender, record_id)])
        await store.checkpoint()
        await store.write(lambda each: each.execute("DELETE FROM records WHERE id = ?", [ID]))
        store.close()

    asyncio.run(erase())
    assert ID.encode() in path.read_bytes(), "DuckDB overwrites what is deleted: say so in docs/retention.md"
    [command] = [each.text for each in blocks(ROOT / "docs/retention.md") if "COPY FROM DATABASE" in each.text]
    program = re.search(r'python -c "\n(.*?)\n" data/sluice.duckdb', command, re.DOTALL)
    assert program is not None
    subprocess.run([sys.executable, "-c", program[1].replace('\\"', '"'), str(path)], check=True)
    copied = path.with_name("data.duckdb.new")
    assert ID.encode() not in copied.read_bytes()
    copied.replace(path)
    store = EmbeddedStore.open(str(path), (RECORDS, REJECTS), SystemClock())
    assert store.read_once(lambda c: c.execute("SELECT count(*) FROM records").fetchone()) == (100,)
    store.close()
