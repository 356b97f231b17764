"""What every target does: each record once, with its columns, and nothing of another feed."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sluice_client.errors import ResponseError, TargetError
from sluice_client.loading import Loading
from sluice_client.protocol.pages import RawPage, Window
from sluice_client.protocol.requests import Feed
from sluice_client.protocol.schema import Column
from tests.client.targets import Target

KEY = Feed().key("http://service")
COLUMNS = (Column("id", "STRING"), Column("n", "INT64"), Column("delivery_key", "STRING"))


def page(*records: dict[str, Any], cursor: str) -> RawPage:
    """Return a page with a cursor behind it."""
    window = Window("2026-01-31T11:00:00Z", "2026-01-31T12:00:00Z")
    return RawPage(msgspec.Raw(json.dumps(records).encode()), None, cursor, window, 1)


def record(number: int) -> dict[str, Any]:
    """Return a record."""
    return {"id": f"r{number}", "n": number, "delivery_key": f"k{number:03}"}


def loading(target: Target) -> Loading:
    """Begin to follow into the target."""
    return Loading(Feed(), target.name, target.table, ())


def begin(run: Loading, columns: tuple[Column, ...] = COLUMNS, key: str = KEY, **options: bool) -> str:
    """Open the target for these columns."""
    return run.begin(key, columns, moved=options.get("moved", False), rewind=options.get("rewind", False))


def fill(target: Target, columns: tuple[Column, ...], *records: dict[str, Any], cursor: str = "c") -> None:
    """Store records, as one page."""
    with loading(target) as run:
        begin(run, columns)
        assert run.store(page(*records, cursor=cursor))


def test_a_page_and_its_cursor_are_there_or_neither_is(target: Target) -> None:
    """A run that ends without a flush leaves a cursor, and exactly the records before it."""
    with loading(target) as run:
        assert begin(run) == ""
        assert run.store(page(record(1), record(2), cursor="c1"))
    run = loading(target)
    assert begin(run) == "c1"
    run.store(page(record(3), cursor="c2"))
    run.sink.close()  # as a crash does
    run = loading(target)
    cursor = begin(run)
    run.sink.close()
    found = [number for (number,) in target.read("n")]
    assert (cursor, found) in ((("c2"), [1, 2, 3]), (("c1"), [1, 2]))
    assert run.progress.stored == 0


def test_a_page_that_fails_leaves_nothing(target: Target) -> None:
    """Neither its good rows nor its cursor."""
    fill(target, COLUMNS, record(1), cursor="c1")
    run = loading(target)
    begin(run)
    bad = record(2) | {"n": "no number"}
    with pytest.raises(ResponseError, match=r"does not fit the schema: Expected `int \| null`, got `str`"):
        run.store(page(record(3), bad, cursor="c2"))
    with pytest.raises(TargetError):  # noqa: PT012 - one of the two stores
        run.store(page(record(3), record(2) | {"n": 2**63}, cursor="c2"))
        run.sink.flush()
    run.sink.close()
    run = loading(target)
    assert begin(run) == "c1"
    run.sink.close()
    assert target.read("n") == [(1,)]


def test_a_copy_that_the_feed_returns_late_is_one_row(target: Target) -> None:
    """Where there is a key; also twice in one page."""
    with loading(target) as run:
        begin(run)
        run.store(page(record(1), record(2), record(1), cursor="c1"))
        run.store(page(record(2), record(3), cursor="c2"))
    numbers = [number for (number,) in target.read("n")]
    if target.has_key:
        assert numbers == [1, 2, 3]
        assert run.progress.stored == 3
    else:
        assert numbers == [1, 1, 2, 2, 3]


def test_every_type_comes_back(target: Target) -> None:
    """The value that the service sent, and null; nothing is rounded."""
    sent = {
        "flag": True,
        "whole": -(2**63),
        "part": 0.1,
        "exact": "12345678901234567890123456789.123456789",
        "text": "é\"\\'\n",
        "bytes": "AAEC/w==",
        "at": "2026-01-31T12:00:00.000001Z",
        "day": "2026-01-31",
        "clock": "12:00:00",
        "any": {"a": [1, None, "x"]},
        "in": {"side": {"deep": 7}},
        "list": [1, 2],
    }
    kinds = ("BOOL", "INT64", "FLOAT64", "NUMERIC", "STRING", "BYTES", "TIMESTAMP", "DATE", "TIME", "JSON")
    columns = (
        *(Column(path, kind) for path, kind in zip(sent, kinds, strict=False)),
        *(Column("in", "STRUCT"), Column("in.side", "STRUCT"), Column("in.side.deep", "INT64")),
        *(Column("list", "INT64", "REPEATED"), Column("delivery_key", "STRING")),
    )
    null = dict.fromkeys(sent) | {"list": []}
    fill(target, columns, sent | {"delivery_key": "k1"}, null | {"delivery_key": "k2"})
    flat = [column.path for column in columns if column.kind != "STRUCT"][:-1]
    filled, empty = (dict(zip(flat, row, strict=True)) for row in target.read(*flat))
    assert {name: plain(value) for name, value in filled.items()} == {
        **{name: plain(value) for name, value in sent.items() if name not in {"in", "bytes"}},
        "bytes": b"\0\1\2\xff",
        "in.side.deep": 7,
    }
    assert plain(empty.pop("list")) == []
    assert set(empty.values()) == {None}


def plain(value: Any) -> Any:
    """Return a value as the API writes it, whatever a target's reader makes of it."""
    match value:
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case dt.date() | dt.time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case str() if value[:1] in {"{", "["}:
            return json.loads(value)
        case "12:00:00.000000":
            return "12:00:00"
        case _:
            return value


def test_json_keeps_its_numbers(target: Target) -> None:
    """The text of a JSON column is the service's: more digits than a float has are not lost."""
    columns = (Column("any", "JSON"), Column("delivery_key", "STRING"))
    with loading(target) as run:
        begin(run, columns)
        text = b'[{"any":{"a":1.10,"b":12345678901234567890123},"delivery_key":"k1"}]'
        run.store(msgspec.structs.replace(page(cursor="c"), records=msgspec.Raw(text)))
    ((value,),) = target.read("any")
    kept = value if isinstance(value, str) else json.dumps(value)
    assert "12345678901234567890123" in kept


def test_a_column_that_appears_is_added(target: Target) -> None:
    """Records before have null. A page with a member that the schema lacks is not stored until it has it."""
    wider = (*COLUMNS[:2], Column("in", "STRUCT"), Column("in.x", "STRING"), COLUMNS[2])
    with loading(target) as run:
        begin(run)
        run.store(page(record(1), cursor="c1"))
        new = page(record(2) | {"in": {"x": "new"}}, cursor="c2")
        assert not run.store(new)
        run.widen(wider)
        assert run.store(new)
    assert target.read("n", "in.x") == [(1, None), (2, "new")]
    with loading(target) as run:  # an instance of the version before describes the feed
        assert begin(run) == "c2"
        run.store(page(record(3), cursor="c3"))
    assert target.read("n", "in.x") == [(1, None), (2, "new"), (3, None)]


def test_another_feed_is_refused(target: Target) -> None:
    """Another stream, other filters, another service; but a service may move."""
    fill(target, COLUMNS, record(1), cursor="c1")
    for feed, url in (
        (Feed("payments"), "http://service"),
        (Feed(filters={"source": "a"}), "http://service"),
        (Feed(), "http://other"),
    ):
        with pytest.raises(TargetError, match=r"follows http://service/v1/records, not"), loading(target) as run:
            begin(run, key=feed.key(url))
    with pytest.raises(TargetError, match="follows"), loading(target) as run:
        begin(run, key=Feed("payments").key("http://moved"), moved=True)
    for _ in range(2):
        with loading(target) as run:
            assert begin(run, key=Feed().key("http://moved"), moved=True) == "c1"


def test_a_second_follower_is_noticed(target: Target) -> None:
    """The one whose cursor is not the target's any more ends, and stores nothing."""
    if target.name.endswith(".duckdb"):
        first = loading(target)
        begin(first)
        second = loading(target)  # in one process DuckDB shares the file
    else:
        first, second = loading(target), loading(target)
        begin(first)
    begin(second)
    second.store(page(record(1), cursor="c1"))
    second.sink.flush()
    with pytest.raises(TargetError, match=r"another process follows into|onflict"):  # noqa: PT012 - one of the two
        first.store(page(record(2), cursor="c2"))
        first.sink.flush()
    first.sink.close()
    second.sink.close()
    assert target.read("n") == [(1,)]


def test_rewinding_keeps_records_single(target: Target) -> None:
    """The feed is read again from elsewhere; Parquet, which has no key, refuses."""
    fill(target, COLUMNS, record(1), record(2), cursor="c2")
    run = loading(target)
    if not target.has_key:
        with pytest.raises(TargetError, match="cannot be rewound"):
            begin(run, rewind=True)
        run.sink.close()
        return
    assert begin(run, rewind=True) == ""
    run.store(page(record(2), record(3), cursor="c3"))
    run.sink.close()
    assert target.read("n") == [(1,), (2,), (3,)]
    with loading(target) as run:
        assert begin(run) == "c3"


def test_a_table_of_the_user_is_left_alone(target: Target) -> None:
    """What exists and was not made by a follower is not written to."""
    with loading(target) as run:
        begin(run)
        sink: Any = run.sink
        if target.has_key:
            sink._database.execute("DELETE FROM sluice_follow WHERE table_name = ?", [target.table])
    if not target.has_key:
        folder = Path(target.name)
        (folder / "sluice.json").unlink()
        (folder / "mine.parquet").touch()
    with pytest.raises(TargetError, match="choose another"), loading(target) as run:
        begin(run)
