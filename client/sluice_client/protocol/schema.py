"""The columns of a feed as a flat table, and rows of it out of a page.

A field of an object is a column of its own with a dotted name, as in CSV; a list is one JSON column. Columns of JSON
are passed on as the text that the service wrote, so that no number is rounded on its way.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Never

import msgspec

from sluice_client.errors import ResponseError
from sluice_client.protocol.effects import Pause, Reply, Steps
from sluice_client.protocol.requests import Feed, schema_request
from sluice_client.protocol.retry import RetryPolicy, ask

KEY = "delivery_key"
"""The column that identifies a record of a feed; an id has versions."""
INGESTED = "ingest_time"
"""The column of the instant by which a feed is ordered."""
_LONGEST_PAUSE_S = 30.0
_JSON_TYPES: dict[str, Any] = {"BOOL": bool, "INT64": int, "FLOAT64": float}
Row = tuple[Any, ...]
"""The values of a row, as JSON has them; those of JSON columns are `msgspec.Raw`."""


class Column(msgspec.Struct, frozen=True):
    """A column of the service's table: a dotted path, and BigQuery's type and mode."""

    path: str
    type: str
    mode: str = "NULLABLE"

    @property
    def kind(self) -> str:
        """The type of its values in a flat table: that of a list is JSON."""
        return "JSON" if self.mode == "REPEATED" else self.type


class Roles(msgspec.Struct, frozen=True):
    """The fields that say which version of a record is the latest; without a sequence the order of the feed does."""

    id: str
    sequence: str | None = None


class TableSchema(msgspec.Struct):
    """A table of the service; `id`, `deleted` and `sequence` are the names of the columns with these roles."""

    path: str
    columns: tuple[Column, ...]
    name: str = ""
    id: str | None = None
    deleted: str | None = None
    sequence: str | None = None
    retention_days: int | None = None

    @property
    def roles(self) -> dict[str, str | None]:
        """The columns with a role, by role; None if there is no such."""
        return {"id": self.id, "deleted": self.deleted, "sequence": self.sequence}


class _Schema(msgspec.Struct):
    tables: tuple[TableSchema, ...]


class UnknownColumnError(Exception):
    """A record has a member that the layout does not: a column was added since."""


def _table(feed: Feed, reply: Reply) -> TableSchema:
    try:
        schema = msgspec.json.decode(reply.content, type=_Schema)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResponseError(f"the response is not a schema: {error}") from error
    for table in schema.tables:
        if table.path == feed.path:
            return table
    raise ResponseError(f"the service has no feed {feed.path}, or this caller may not read it")


def read_columns(feed: Feed, policy: RetryPolicy, attempt: int = 0) -> Steps[Never, tuple[Column, ...]]:
    """Ask for the columns, each object before its fields.

    After the first attempt to find a new column there, pause before the next.

    During a rollout an instance may serve records with a column that the instance that describes them does not know.

    Raises:
        ProblemError, UnreachableError, ResponseError: as `ask`; not a schema, or none of this feed.
    """
    if attempt:
        yield Pause(min(float(attempt), _LONGEST_PAUSE_S), "the schema does not have a new column of the records yet")
    reply: Reply = yield from ask(schema_request(feed), policy)
    return _table(feed, reply).columns


def read_schema(feed: Feed, policy: RetryPolicy) -> Steps[Never, TableSchema]:
    """Ask for the table of a feed; raises as `read_columns`."""
    reply: Reply = yield from ask(schema_request(feed), policy)
    return _table(feed, reply)


def read_roles(feed: Feed, policy: RetryPolicy) -> Steps[Never, dict[str, str | None]]:
    """Ask for the columns with a role, by role: None if records have no such; raises as `read_columns`."""
    table = yield from read_schema(feed, policy)
    return table.roles


class Layout:
    """How records become rows of a flat table."""

    def __init__(self, columns: Sequence[Column], fields: Iterable[str] = ()) -> None:
        """Lay out these columns, or those of them that `fields` names (a path, or an object's), and the key."""
        self.fields = tuple(dict.fromkeys((*fields, KEY))) if (fields := tuple(fields)) else ()
        chosen = [column for column in columns if not self.fields or _is_within(column, self.fields)]
        record, paths = _record_type(chosen)
        self.columns = tuple(column for column, _ in paths)
        self._readers = tuple(reader for _, reader in paths)
        self._decoder = msgspec.json.Decoder(list[record])  # type: ignore[valid-type]  # a type made of the schema

    def rows(self, records: msgspec.Raw) -> list[Row]:
        """Return the rows of a page's records.

        Raises:
            UnknownColumnError: a record has a member that no column is for.
            ResponseError: the records do not fit the schema otherwise.
        """
        try:
            items = self._decoder.decode(records)
        except msgspec.ValidationError as error:
            if "unknown field" in str(error):
                raise UnknownColumnError(str(error)) from error
            raise ResponseError(f"a record does not fit the schema: {error}") from error
        readers = self._readers
        return [tuple([read(record) for read in readers]) for record in items]


def _is_within(column: Column, fields: Sequence[str]) -> bool:
    """Whether a column is chosen, a part of a chosen object, or an object with a chosen part."""
    path = column.path
    return any(path == field or path.startswith(f"{field}.") or field.startswith(f"{path}.") for field in fields)


_Reader = Callable[[Any], Any]


def _record_type(columns: Sequence[Column]) -> tuple[type, list[tuple[Column, _Reader]]]:
    """Return a Struct that decodes exactly these columns, and how to read each leaf of it."""
    leaves, members, rename = list[tuple[Column, _Reader]](), list[tuple[str, Any, Any]](), dict[str, str]()
    tops = [column for column in columns if not _parent(column, columns)]
    for number, column in enumerate(tops):
        attribute = f"c{number}"
        rename[attribute] = column.path.rpartition(".")[2]
        within = f"{column.path}."
        if column.type == "STRUCT" and column.mode != "REPEATED":
            inner, paths = _record_type([each for each in columns if each.path.startswith(within)])
            members.append((attribute, inner | None, None))
            leaves += [(leaf, _nested(attribute, read)) for leaf, read in paths]
        elif column.kind == "JSON":
            members.append((attribute, msgspec.Raw, msgspec.Raw(b"null")))
            leaves.append((column, _json(attribute)))
        else:
            members.append((attribute, _JSON_TYPES.get(column.kind, str) | None, None))
            leaves.append((column, _plain(attribute)))
    return msgspec.defstruct("Record", members, rename=rename, forbid_unknown_fields=True), leaves


def _parent(column: Column, columns: Sequence[Column]) -> Column | None:
    return next((other for other in columns if column.path.startswith(f"{other.path}.")), None)


def _plain(attribute: str) -> _Reader:
    return lambda record: getattr(record, attribute)


def _json(attribute: str) -> _Reader:
    def read(record: Any) -> Any:
        raw = getattr(record, attribute)
        return None if bytes(raw) == b"null" else raw

    return read


def _nested(attribute: str, inner: _Reader) -> _Reader:
    def read(record: Any) -> Any:
        value = getattr(record, attribute)
        return None if value is None else inner(value)

    return read
