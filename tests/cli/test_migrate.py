"""`sluice migrate`: what the file does not gain at opening is changed, and nothing is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.runtime.clock import SystemClock
from app.schema.table import records_table, rejects_table
from app.stores.duckdb.store import EmbeddedStore
from app.stores.sink import Stored, StoreError
from app.stores.sql.statement import Statement
from sluice.__main__ import main
from sluice.cli import migrate as migration
from tests.encoding import encoded, whole_envelope


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A nested type, before."""

    name: str
    zip: str | None = None
    level: int | None = None


class Before(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record, before."""

    id: str
    carrier: str
    miles: int
    day: date
    gate: str | None = None
    note: str | None = None
    stop: Stop | None = None
    stops: list[Stop] = []
    count: int | None = None


class StopAfter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nested type, after: a field widened, one removed, one added."""

    name: str
    level: float | None = None
    terminal: str | None = None


class After(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record, after: one field renamed, two widened, one relaxed, one tightened, one removed, one added."""

    id: str
    airline: str | None = None
    miles: Decimal
    day: datetime
    note: str
    stop: StopAfter | None = None
    stops: list[StopAfter] = []
    count: int | None = None
    tail: str | None = None


BEFORE, AFTER, REJECTS = records_table(Before), records_table(After), rejects_table()
RECORD = Before(
    "a", "LH", 9007199254740993, date(2026, 1, 31), "B7", "x", Stop("LHR", "TW6", 3), [Stop("CDG"), Stop("FRA", "60")]
)
COMMAND = ["migrate", "--record", "tests.cli.test_migrate:After", "--rename", "carrier=airline"]
DROPS = ["--drop", "gate", "--drop", "stop", "--drop", "stops"]
EXPECTED: dict[str, Any] = {
    "id": "a",
    "airline": "LH",
    "miles": Decimal(9007199254740993),
    "day": datetime(2026, 1, 31, tzinfo=UTC),
    "note": "x",
    "stop": {"name": "LHR", "level": 3.0, "terminal": None},
    "stops": [
        {"name": "CDG", "level": None, "terminal": None},
        {"name": "FRA", "level": None, "terminal": None},
    ],
    "count": None,
    "tail": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file of the first type with one record."""
    found = tmp_path / "data.duckdb"
    fill(found, RECORD)
    return found


def fill(path: Path, record: Before) -> None:
    """Store a record in a file of the first type."""
    store = EmbeddedStore.open(str(path), (BEFORE, REJECTS), SystemClock())
    appender = store.appender(BEFORE)
    envelope = whole_envelope(Message(key=record.id, data=b"", attributes={}))
    assert store._insert("records", appender._insert_sql, 1, [encoded(appender, record, envelope)]) == Stored()
    store.close()


def run(path: Path, *options: str) -> int:
    """Run the command on the file; return its exit status."""
    return main([*COMMAND, "--data-path", str(path), *options], {})


def test_every_change_is_made_and_a_copy_is_kept(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says what a run does: renamed, cast, relaxed, tightened, dropped and added, nested fields too."""
    before = path.read_bytes()
    assert run(path, *DROPS, "--dry-run") == 0
    assert path.read_bytes() == before
    *printed, last = capsys.readouterr().out.splitlines()
    assert (printed[0], last) == (f"records in {path}: 9 changes", "nothing was changed (--dry-run)")
    assert [line.strip() for line in printed[1:10]] == [
        "rename  carrier to airline",
        "relax   airline to NULLABLE",
        "cast    miles from BIGINT to DECIMAL(38,9)",
        "cast    day from DATE to TIMESTAMP",
        "tighten note to REQUIRED",
        "cast    stop from STRUCT(name VARCHAR, zip VARCHAR, level BIGINT) to "
        "STRUCT(name VARCHAR, level DOUBLE, terminal VARCHAR)",
        "cast    stops from STRUCT(name VARCHAR, zip VARCHAR, level BIGINT)[] to "
        "STRUCT(name VARCHAR, level DOUBLE, terminal VARCHAR)[]",
        "add     tail VARCHAR",
        "drop    gate",
    ]
    assert run(path, *DROPS) == 0
    store = EmbeddedStore.open(str(path), (AFTER, REJECTS), SystemClock())
    (row,) = asyncio.run(store.read(Statement(sql="SELECT * FROM `records`", parameters={}))).rows
    store.close()
    assert {column.name: row[column.name] for column in AFTER.record} == EXPECTED
    assert "gate" not in row
    (kept,) = path.parent.glob("data.duckdb.before-*")
    assert str(kept) in capsys.readouterr().out
    EmbeddedStore.open(str(kept), (BEFORE, REJECTS), SystemClock()).close()
    assert {each.name for each in path.parent.iterdir()} == {path.name, kept.name}
    assert run(path) == 1, "the names that were given are gone"


class Lossy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file cannot become: a lossy number, a missing value, another shape, a new required field."""

    id: str
    carrier: str
    miles: float
    day: date
    note: str
    count: int
    gate: list[str] = []
    stop: str | None = None
    seat: str


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (Lossy, ["gate is VARCHAR, and cannot become VARCHAR[]", "stop is STRUCT(", "--rename OLD=seat"]),
        (
            msgspec.defstruct(
                "Tight",
                [("id", int), ("count", int), ("miles", float), ("stop", StopAfter | None, None)],
                forbid_unknown_fields=True,
            ),
            [
                "id has a value that BIGINT cannot hold exactly: --drop id permits the loss (in 1 rows, such as that ",
                "miles has a value that DOUBLE cannot hold exactly: --drop miles permits",
                "count has no value, and is declared as required (in 1 rows",
                "stop has a value that STRUCT(name VARCHAR, level DOUBLE, terminal VARCHAR) cannot hold exactly: --",
                "gate is not declared and has values: --drop gate removes them",
                "stops is not declared and has values: --drop stops removes them",
            ],
        ),
    ],
)
def test_what_cannot_be_migrated_is_refused_with_every_reason(
    path: Path, declared: type[msgspec.Struct], words: list[str]
) -> None:
    """Nothing is lost in silence: the values of the file are checked before anything is written."""
    before = path.read_bytes()
    with pytest.raises(StoreError) as raised:
        migration.migrate(str(path), [records_table(declared), REJECTS], {}, set(), dry_run=False)
    for each in words:
        assert each in str(raised.value)
    assert path.read_bytes() == before


def test_two_columns_of_one_field_are_merged_unless_both_have_a_value(path: Path) -> None:
    """A rename that was not declared before the next start: the new column is there, and empty in older rows."""
    later = msgspec.defstruct("Later", [("id", str), ("remark", str | None, None)], forbid_unknown_fields=True)
    drops = {"carrier", "miles", "day", "gate", "stop", "stops"}
    table = records_table(later)
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE records ADD COLUMN remark VARCHAR")
    done = migration.migrate(str(path), [table], {"note": "remark"}, drops, dry_run=False)
    assert "merge   note into remark" in done.plans[0].steps
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT remark FROM records").fetchall() == [("x",)]
        connection.execute("ALTER TABLE records ADD COLUMN note VARCHAR; UPDATE records SET note = 'y'")
    with pytest.raises(StoreError, match=r"both note and remark have a value \(in 1 rows"):
        migration.migrate(str(path), [table], {"note": "remark"}, set(), dry_run=False)


def test_rows_keep_their_order_and_their_envelope(path: Path) -> None:
    """All rows of several row groups, which DuckDB copies in parallel."""
    columns = ", ".join(f'"{column.name}"' for column in AFTER.envelope)
    read = f"SELECT count(*), sum(hash(rowid, id, {columns})) FROM records"  # noqa: S608 - constants
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "INSERT INTO records SELECT r.* REPLACE (hash(i)::VARCHAR AS id, hash(i + 1)::VARCHAR AS delivery_key, "
            "ingest_time + to_microseconds(i // 3) AS ingest_time) FROM records r, range(150000) n(i) ORDER BY i"
        )
        before = connection.execute(read).fetchone()
    assert run(path, *DROPS) == 0
    with duckdb.connect(str(path)) as connection:
        assert connection.execute(read).fetchone() == before


def test_a_text_becomes_the_json_of_the_same_text(path: Path) -> None:
    """It is not read as JSON."""
    loose = msgspec.defstruct("Loose", [("id", str), ("note", Any, None)], forbid_unknown_fields=True)
    drops = {"carrier", "miles", "day", "gate", "stop", "stops"}
    migration.migrate(str(path), [records_table(loose)], {}, drops, dry_run=False)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT note FROM records").fetchall() == [('"x"',)]


def test_a_file_that_a_service_has_open_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """DuckDB locks it against other processes; the message says what to do."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        assert run(path, *DROPS) == 1
        assert run(path, *DROPS, "--dry-run") == 1
        holder.communicate(b"")
    assert "is a service using it? Stop it first" in capsys.readouterr().err


@pytest.mark.parametrize(("at", "when"), [("_copy", "after"), ("_change", "before"), ("_change", "after")])
def test_a_kill_at_any_point_leaves_a_whole_file(path: Path, at: str, when: str) -> None:
    """Once it is copied, before the transaction ends, or after: it is as it was or changed; the next run completes."""
    code = f"""
import os, signal, sys
from sluice.cli import migrate as migration
from tests.cli.test_migrate import DROPS, run
from pathlib import Path
whole = migration.{at}
class Killed:
    def __init__(self, connection):
        self.connection = connection
    def __getattr__(self, name):
        if name == "commit":
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self.connection, name)
def killed(connection, what):
    whole(Killed(connection) if sys.argv[2] == "before" else connection, what)
    os.kill(os.getpid(), signal.SIGKILL)
migration.{at} = killed
run(Path(sys.argv[1]), *DROPS)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(path), when], check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    if (at, when) != ("_change", "after"):
        EmbeddedStore.open(str(path), (BEFORE, REJECTS), SystemClock()).close()
        assert run(path, *DROPS) == 0
    EmbeddedStore.open(str(path), (AFTER, REJECTS), SystemClock()).close()


def test_bad_names_are_refused_before_anything(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rename that is none, columns that are not there, and a file that is not there."""
    with pytest.raises(SystemExit):
        run(path, "--rename", "gate")
    with pytest.raises(SystemExit):
        run(path, "--rename", "stop.zip=stop.postcode")
    named = ["--rename", "gate=nowhere", "--rename", "count=tail", "--rename", "gone=tail", "--drop", "stop.zip"]
    assert run(path, *named) == 1
    assert run(path.with_name("other")) == 1
    told = capsys.readouterr().err
    for words in (
        "'gate': expected OLD=NEW",
        "no column stop.zip ",
        "no declared column nowhere",
        "count is declared, so it cannot be renamed",
        "several columns are renamed to tail",
        "there is no file",
    ):
        assert words in told
