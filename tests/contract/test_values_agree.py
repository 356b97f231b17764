"""A value is the same on every way out, whatever its type, whether it may be missing, and wherever it is nested."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Raw

from app.query.answer.arrow import ArrowRows
from app.query.answer.encoders import ServedRows
from app.query.request.stats import MAX_METRICS
from app.runtime.instants import SECOND_US, to_text
from app.schema.columns import Kind, Mode
from app.schema.filters import FilterField, filter_table
from app.schema.table import Table, records_table
from sluice.testing.clock import FakeClock
from tests.contract.gaps import OTHERWISE_BELOW_THE_TOP
from tests.contract.service import Service
from tests.contract.stores import REJECTS, T0_US, Engine, law
from tests.contract.way import exact
from tests.long_form import long
from tests.schema.values import SAMPLES, Field, forms_of, instances, struct_of
from tests.sse import reading, until

_GROUPED = Meta(extra={"sluice": ["aggregate"]})
_ID = Annotated[str, Meta(extra={"sluice": ["id"]})]
_CELL = re.compile(r'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)')
_AS_IN_JSON = {Kind.BOOL, Kind.INT64, Kind.FLOAT64, Kind.JSON}
"""The kinds whose CSV cells are JSON; those of all others are a JSON text without its quotes."""
_Served = dict[str, Raw]
"""A record as JSON, by column."""


class Declared(NamedTuple):
    """A generated record type, and its values."""

    table: Table
    records: st.SearchStrategy[list[msgspec.Struct]]


class Leaf(NamedTuple):
    """A field that is no Struct: its place, its type, and its column's kind and mode."""

    path: tuple[str, ...]
    annotation: Any
    kind: Kind
    mode: Mode

    def of(self, record: Any) -> Any:
        """Return the value in a record; None where the Struct around it is missing."""
        for name in self.path:
            record = None if record is None else getattr(record, name)
        return record


def _declared(engine: Engine, names: Sequence[str]) -> Declared:
    """Return a type that has each of the types in every form: alone, in a Struct, and in lists of Structs."""
    mended = OTHERWISE_BELOW_THE_TOP if engine.name == "bigquery" else set()
    plain = forms_of(name for name in names if SAMPLES[name].kind not in mended)
    otherwise = {f"{name}_list" for name in names if SAMPLES[name].kind in mended}
    leaf = struct_of("Leaf", plain)
    item_fields: list[Field] = [*plain, ("leaf", leaf | None, st.none() | instances(leaf, plain))]
    item = struct_of("Item", item_fields)
    items: Field = ("items", list[item], st.lists(instances(item, item_fields), max_size=2))  # type: ignore[valid-type] # made at run time
    inner_fields = [*_grouped(plain), items]
    inner = struct_of("Inner", inner_fields)
    inners = instances(inner, inner_fields)
    fields: list[Field] = [
        ("id", _ID, st.just("")),
        *_grouped(form for form in forms_of(names) if form[0] not in otherwise),
        ("inner", inner, inners),
        ("inner_or_none", inner | None, st.none() | inners),
        items,
    ]
    record_type = struct_of("Generated", fields)
    few, many = (3, 3) if engine.name == "bigquery" else (4, 6)
    return Declared(records_table(record_type), st.lists(instances(record_type, fields), min_size=few, max_size=many))


def _grouped(fields: Iterable[Field]) -> list[Field]:
    """Return fields by which statistics may group, where their type allows it."""
    return [
        (name, annotation if name.endswith("_list") else Annotated[annotation, _GROUPED], values)
        for name, annotation, values in fields
    ]


def _leaves(record_type: type[msgspec.Struct], table: Table) -> list[Leaf]:
    def walk(struct: type[msgspec.Struct], columns: Iterable[Any], path: tuple[str, ...]) -> Iterator[Leaf]:
        declared = {field.name: field.type for field in msgspec.structs.fields(struct)}
        for column in columns:
            annotation, place = declared[column.name], (*path, column.name)
            if column.kind is Kind.STRUCT and column.mode is not Mode.REPEATED:
                inner = next(each for each in (annotation, *get_args(annotation)) if hasattr(each, "__struct_fields__"))
                yield from walk(inner, column.fields, place)
            else:
                yield Leaf(place, annotation, column.kind, column.mode)

    return [*walk(record_type, table.record, ())]


class Ways:
    """Every way out of a service that holds some records from `begin_us` on, and what each of them got wrong."""

    def __init__(self, service: Service, records: list[msgspec.Struct], begin_us: int) -> None:
        self._service, self._client, self._table = service, service.client(), service.records
        self._window = {"since": to_text(begin_us), "until": to_text(begin_us + len(records))}
        self._records, self.wrong = records, list[str]()

    def check(self) -> None:
        """Read the records in every way."""
        self._json("page", msgspec.json.decode(self._get(limit="100"), type=dict[str, Raw])["records"])
        for way, limit in (("page", "100"), ("export", "all")):
            records = self._get(limit=limit, format="ndjson").splitlines()
            self._json(f"{way} as NDJSON", b"[%b]" % b",".join(records))
            self._csv(f"{way} as CSV", self._get(limit=limit, format="csv").decode())
            self._arrow(f"{way} as Arrow", self._get(limit=limit, format="arrow"))
        found = [self._answer(f"/v1/records/{record.id}") for record in self._records]  # type: ignore[attr-defined] # made at run time
        self._json("by id", b"[%b]" % b",".join(found))
        self._json("tail", msgspec.json.encode(self._service.engine.loop.run(self._tail())))
        fields = [field for field in filter_table(self._table).values() if field.groupable]
        if len(fields) > 100:  # one of each kind
            fields = [*{field.kind: field for field in fields}.values()]
        for field in fields:
            self._statistics(field)
        numbers, most = [field for field in fields if field.aggregable], MAX_METRICS // 2
        for at in range(0, len(numbers), most):
            self._extremes(numbers[at : at + most])

    def _get(self, path: str = "", **asked: str) -> bytes:
        return self._answer(f"/v1/records{path}", **self._window, **asked)

    def _answer(self, path: str, **asked: str) -> bytes:
        answer = self._client.get(path, params=asked)
        assert answer.status_code == 200, f"{path} {asked}: {answer.text}"
        return answer.content

    def _json(self, way: str, found: Raw | bytes) -> None:
        self._columns(way, msgspec.json.decode(found, type=list[_Served]))

    def _arrow(self, way: str, stream: bytes) -> None:
        rows = [row for rows in ArrowRows(self._table.columns).row_lists(stream) for row in rows]
        shown = ServedRows(self._table.columns).of(rows)
        self._columns(way, [msgspec.json.decode(msgspec.json.encode(row), type=_Served) for row in shown])

    def _columns(self, way: str, found: list[_Served]) -> None:
        assert len(found) == len(self._records), way
        for record, served in zip(self._records, found, strict=True):
            for field in msgspec.structs.fields(self._table.record_type):
                self._compare(way, field.name, bytes(served[field.name]), field.type, getattr(record, field.name))

    def _csv(self, way: str, text: str) -> None:
        header, *lines = _lines(text)
        assert len(lines) == len(self._records), way
        leaves = {".".join(leaf.path): leaf for leaf in _leaves(self._table.record_type, self._table)}
        for record, line in zip(self._records, lines, strict=True):
            cells = dict(zip(header, line, strict=True))
            for name, leaf in leaves.items():
                self._compare(way, name, _json_of(leaf, cells[name]), leaf.annotation | None, leaf.of(record))

    async def _tail(self) -> list[Any]:
        clock = self._service.store.clock
        assert isinstance(clock, FakeClock)
        async with reading(self._service.app, "/v1/records/tail", {"since": self._window["since"]}) as stream:
            await until(lambda: len(stream.named("record")) >= len(self._records), clock)
        return stream.named("record")

    def _statistics(self, field: FilterField) -> None:
        """Compare the groups of a field."""
        leaf = self._leaf(field)
        sent = [leaf.of(record) for record in self._records]
        asked = {"bucket": "P1D", "by": field.path}
        series = msgspec.json.decode(self._get("/stats", **asked))["series"]
        groups = {_decoded(msgspec.json.encode(each["key"]), leaf.annotation): each["records"] for each in series}
        if groups != Counter(sent):
            self.wrong.append(f"{field.path}: groups of statistics: {groups!r}, sent {Counter(sent)!r}")

    def _extremes(self, fields: Sequence[FilterField]) -> None:
        """Compare the least and the greatest value of fields that are numbers."""
        names = {f"{name}:{field.path}": (field, name) for field in fields for name in ("min", "max")}
        values = msgspec.json.decode(self._get("/stats", metric=",".join(names), bucket="P1D"))["series"][0]["values"]
        for metric, (field, name) in names.items():
            leaf = self._leaf(field)
            present = [value for value in map(leaf.of, self._records) if value is not None]
            expected = (min if name == "min" else max)(present, default=None)
            [value] = values[metric]
            served = _decoded(msgspec.json.encode(value), leaf.annotation)
            if served != expected:
                self.wrong.append(f"{field.path}: {name} of statistics: {served!r}, sent {expected!r}")

    def _leaf(self, field: FilterField) -> Leaf:
        leaves = _leaves(self._table.record_type, self._table)
        return next(each for each in leaves if ".".join(each.path) == field.path)

    def _compare(self, way: str, name: str, found: bytes, annotation: Any, sent: Any) -> None:
        try:
            same = exact(msgspec.json.decode(found, type=annotation)) == exact(sent)
        except msgspec.MsgspecError:
            same = False
        if not same:
            self.wrong.append(f"{name}: {way}: {found.decode()}, sent {msgspec.json.encode(sent).decode()}")


def _decoded(found: bytes, annotation: Any) -> Any:
    return msgspec.json.decode(found, type=annotation | None)


def _lines(text: str) -> list[list[str]]:
    """Return the cells of a CSV text as they are written, with their quotes."""
    lines: list[list[str]] = [[]]
    for cell in _CELL.finditer(text):
        lines[-1].append(cell[1])
        if cell[2] != ",":
            lines.append([])
    assert sum(len(cell) + 1 for line in lines for cell in line) + len(lines) - 1 == len(text)
    return lines[:-1]


def _json_of(leaf: Leaf, cell: str) -> bytes:
    """Return what a cell says as JSON."""
    if not cell:
        return b"null"
    text = cell[1:-1].replace('""', '"') if cell[0] == '"' else cell
    return text.encode() if leaf.mode is Mode.REPEATED or leaf.kind in _AS_IN_JSON else msgspec.json.encode(text)


@pytest.mark.parametrize(
    ("engine", "names"),
    [
        *(pytest.param("embedded", [*SAMPLES][start::5], id=f"embedded-{start}") for start in range(5)),
        pytest.param("bigquery", [*SAMPLES], id="bigquery", marks=long),
    ],
    indirect=["engine"],
)
def test_every_way_out_agrees_on_every_value(engine: Engine, names: list[str]) -> None:
    """Pages and exports in each format, the tail, a look-up and statistics say what was sent."""
    declared = _declared(engine, names)
    store = engine.loop.run(engine.open([declared.table, REJECTS]))
    service, seconds = Service(engine, store, declared.table), itertools.count()

    # In the short form two examples, of which the first is the simplest; that one alone over BigQuery.
    @law(engine, (4 if engine.name == "bigquery" else 8) / engine.examples)
    @given(declared.records)
    def holds(records: list[msgspec.Struct]) -> None:
        begin_us = T0_US + next(seconds) * SECOND_US  # a window of its own, since a cache keeps earlier ones
        named = [msgspec.structs.replace(each, id=f"{begin_us + number}") for number, each in enumerate(records)]
        service.put(declared.table, [(int(each.id), f"k{each.id}", each) for each in named])  # type: ignore[attr-defined] # made at run time
        ways = Ways(service, named, begin_us)
        ways.check()
        assert ways.wrong == []

    try:
        holds()
    finally:
        engine.loop.run(store.close())
