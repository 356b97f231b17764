"""Opening a file adds the columns that rows may lack, keeps those of a newer image, and names the way for the rest."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import duckdb
import msgspec
import pytest
from msgspec import Meta

from app.ingest.decode.envelope import Message
from app.runtime.clock import SystemClock
from app.schema.table import Table, records_table, rejects_table
from app.stores.duckdb.file import file_columns
from app.stores.duckdb.store import EmbeddedStore
from app.stores.duckdb.table_layout import declared_column, fit
from app.stores.sink import Stored, StoreError
from app.stores.sql.statement import Statement
from sluice.cli.migrate import migrate
from tests.encoding import encoded, whole_envelope


class Leg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a journey, as it began."""

    origin: str


_ID = Annotated[str, Meta(extra={"sluice": ["id"]})]


class Journey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record, as it began."""

    id: _ID
    first: Leg | None = None
    legs: list[Leg] = []


class LegLater(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part, a few images later."""

    gate: str | None = None
    origin: str
    tags: list[str] = []


class JourneyLater(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record, a few images later: columns before, between and after those of the first image."""

    price: float | None = None
    id: _ID
    notes: dict[str, Any] | None = None
    first: LegLater | None = None
    legs: list[LegLater] = []
    raw: bytes | None = None


FIRST, LATER = records_table(Journey), records_table(JourneyLater)
EVERYTHING = Statement(sql="SELECT * FROM `records` ORDER BY `id`", parameters={})


def opened(path: Path, table: Table) -> EmbeddedStore:
    """Open the file with `table` and the rejects."""
    return EmbeddedStore.open(str(path), (table, rejects_table()), SystemClock())


async def stored(path: Path, table: Table, *records: msgspec.Struct) -> None:
    """Open the file as an image whose type makes `table`, store records, and close it."""
    store = opened(path, table)
    appender = store.appender(table)
    for record in records:
        message = Message(key=record.id, data=b"", attributes={})  # type: ignore[attr-defined] # both types have one
        assert await appender.append([encoded(appender, record, whole_envelope(message))]) == Stored()
    store.close()


async def rows(path: Path, table: Table) -> list[dict[str, Any]]:
    """Return what the file holds, as the record columns of `table`."""
    store = opened(path, table)
    answer = await store.read(EVERYTHING)
    store.close()
    return [{column.name: row[column.name] for column in table.record} for row in answer.rows]


async def test_columns_are_added_at_any_depth_and_older_rows_read_as_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line names every column; NULL and the empty list stand for what was not there."""
    path = tmp_path / "data.duckdb"
    await stored(path, FIRST, Journey("a", Leg("LHR"), [Leg("CDG")]))
    caplog.set_level(logging.INFO, "sluice.writer")
    new = JourneyLater(id="b", price=1.5, first=LegLater(gate="B7", origin="JFK", tags=["t"]), raw=b"\x00")
    await stored(path, LATER, new)
    (line,) = [each.getMessage() for each in caplog.records]
    assert line.endswith("added the columns price, notes, first.gate, first.tags, legs.gate, legs.tags, raw")
    first, second = await rows(path, LATER)
    assert first == {
        "price": None,
        "id": "a",
        "notes": None,
        "first": {"origin": "LHR", "gate": None, "tags": []},
        "legs": [{"origin": "CDG", "gate": None, "tags": []}],
        "raw": None,
    }
    assert second == msgspec.structs.asdict(new) | {"first": msgspec.to_builtins(new.first)}


def test_a_process_that_is_killed_after_adding_leaves_a_file_that_opens(tmp_path: Path) -> None:
    """The additions are then only in the write-ahead log, which DuckDB must be able to replay without its functions."""
    path = tmp_path / "data.duckdb"
    opened(path, FIRST).close()
    code = (
        "import os, sys; from pathlib import Path; from tests.stores.duckdb.test_additions import LATER, opened; "
        "store = opened(Path(sys.argv[1]), LATER); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False, env=dict(os.environ)).returncode == 9
    assert path.with_name("data.duckdb.wal").stat().st_size > 0
    store = opened(path, LATER)
    assert not fit(LATER, file_columns(store._connection, "records")).additions
    store.close()


class Before(msgspec.Struct, forbid_unknown_fields=True):
    """A record before two of its fields are renamed."""

    id: str
    colour: str | None = None
    size: int | None = None
    gone: str | None = None


class After(msgspec.Struct, forbid_unknown_fields=True):
    """The same record, and a field of a type that no other had."""

    id: str
    color: str | None = None
    size_cm: int | None = None
    price: float | None = None


async def test_a_renamed_optional_field_is_named_with_the_command(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each lacking column with the undeclared one of its type whose name is most similar; the command merges them."""
    path, table = tmp_path / "data.duckdb", records_table(After)
    await stored(path, records_table(Before), Before(id="a", colour="red", size=5, gone="x"))
    await stored(path, table, After(id="b", color="blue"))
    assert [line for line in caplog.messages if "sluice migrate" in line] == [
        f"table records in {path}: If colour was renamed to color, size was renamed to size_cm, stop the service and "
        "run `sluice migrate --rename colour=color --rename size=size_cm`; until then no answer has the older values."
    ]
    migrate(str(path), [table], {"size": "size_cm", "colour": "color"}, {"gone"}, dry_run=False)
    assert [(row["color"], row["size_cm"]) for row in await rows(path, table)] == [("red", 5), ("blue", None)]


def test_the_command_names_the_stream_where_there_are_several(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fields of several tables cannot be told apart otherwise."""
    path = str(tmp_path / "data.duckdb")
    for kind in (Before, After):
        tables = (records_table(kind, name="orders"), FIRST, rejects_table())
        EmbeddedStore.open(path, tables, SystemClock()).close()
    assert "`sluice migrate --stream orders --rename colour=color" in caplog.text


async def test_rows_of_a_table_that_no_stream_declares_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the cure; an empty table and one that holds no records are not."""
    path = tmp_path / "data.duckdb"
    await stored(path, FIRST, Journey("a", Leg("LHR"), []), Journey("b", Leg("LHR"), []))
    opened(path, records_table(Journey, name="payments")).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE notes AS SELECT 1 AS delivery_key")
    caplog.clear()
    opened(path, records_table(Journey, name="orders")).close()
    assert caplog.messages == [
        f"table records in {path}: 2 rows that no stream declares, so no answer has them. Declare a stream named "
        "records for them (docs/streams.md), or drop the table"
    ]


class Renamed(msgspec.Struct, forbid_unknown_fields=True):
    """The first record with changes that are not additive."""

    identity: str
    first: str | None = None
    legs: list[Leg] = []


def test_a_change_that_is_not_additive_names_the_command_and_changes_nothing(tmp_path: Path) -> None:
    """Each difference is a sentence of its own; the columns that could have been added are not."""
    path = tmp_path / "data.duckdb"
    opened(path, FIRST).close()
    with pytest.raises(StoreError) as raised:
        opened(path, records_table(Renamed))
    for words in (
        "it lacks the column identity, which is declared as required",
        "its column id is NOT NULL but not declared",
        "If id was renamed to identity, stop the service and run `sluice migrate --rename id=identity`;",
        "its column first is STRUCT(origin VARCHAR), but declared as VARCHAR",
        "`sluice migrate --dry-run`",
        "SLUICE_DATA_PATH",
    ):
        assert words in str(raised.value)
    opened(path, FIRST).close()


@pytest.mark.parametrize("table", [FIRST, LATER, rejects_table()])
def test_a_table_that_was_made_for_a_declaration_fits_it(table: Table, tmp_path: Path) -> None:
    """DuckDB names every type as the declaration does, at any depth."""
    store = EmbeddedStore.open(str(tmp_path / "data.duckdb"), [table], SystemClock())
    columns = file_columns(store._connection, table.name)
    assert columns == tuple(declared_column(column) for column in table.columns)
    found = fit(table, columns)
    assert (found.additions, found.problems) == ([], [])
    store.close()
