"""The streams of a deployment: what each stores, and which messages are its own. Pure, but for the import.

`SLUICE_STREAMS=package.module:STREAMS` names a mapping from a stream's name to its record type, or to a `Stream` that
says more:

    STREAMS = {
        "orders": Order,
        "payments": Stream(record=Payment, retention_days=30, attributes={"ce-type": "com.example.payment"}),
    }

The first is the default stream, which `/v1/records` serves. A stream's table has the stream's name. `SLUICE_RECORD`
declares a single type: a deployment with one stream, named `records`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from app.record import RecordType, RecordTypeError, is_record_type, load_record_type
from app.runtime.imports import DeclarationError, import_declaration
from app.schema.columns import Role, flat
from app.schema.filters import checked_table
from app.schema.protection import MIN_SECRET_LENGTH, Hasher, hasher_of, holds_personal_data
from app.schema.table import REJECTS, Table, rejects_table
from app.settings.store import StoreSettings

MAX_STREAMS = 200
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_LISTED = 10
ATTRIBUTE = "stream"
"""The attribute of a message that names its stream."""


class StreamsError(RecordTypeError):
    """The streams cannot be used; the message names each stream that is wrong, and the correct form."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream: the type of its records, and the messages that belong to it.

    record           the record type, or the Versions of one
    retention_days   how long its rows are kept; None: SLUICE_RETENTION_DAYS
    subscriptions    the Pub/Sub subscriptions that deliver its messages, as `name` or `projects/…/subscriptions/name`
    attributes       the values of message attributes, such as {"ce-type": "com.example.order"}; all must match

    Several allowed values are a tuple or a list. A message whose attribute `stream` is the stream's name, or that is
    pushed to `/pubsub/push/{stream}`, needs no such rule. The first stream also takes what no rule names, unless it
    declares a rule itself.
    """

    record: Any
    retention_days: int | None = None
    subscriptions: tuple[str, ...] = ()
    attributes: Mapping[str, str | tuple[str, ...]] = {}


class DeclaredStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as the service uses it: its table, and the normalised rules for its messages.

    In `attributes`, each name has the tuple of its allowed values.
    """

    name: str
    table: Table
    subscriptions: tuple[str, ...] = ()
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Streams(msgspec.Struct, frozen=True):
    """All streams by name, the default one first, and the table of what none of them takes.

    `are_named`: SLUICE_STREAMS declares them.
    """

    by_name: Mapping[str, DeclaredStream]
    are_named: bool = True
    rejects: Table = msgspec.field(default_factory=rejects_table)

    @property
    def default(self) -> DeclaredStream:
        """The stream that `/v1/records` serves."""
        return next(iter(self.by_name.values()))

    @property
    def tables(self) -> tuple[Table, ...]:
        """The table of each stream, in the order of declaration."""
        return tuple(stream.table for stream in self.by_name.values())

    def table(self, name: str) -> Table:
        """Return the table of the stream `name`, of the default stream if `name` is empty.

        Raises:
            StreamsError: there is no such stream.
        """
        stream = self.by_name.get(name) if name else self.default
        if stream is None:
            raise StreamsError(f"there is no stream {name!r}: expected one of {', '.join(self.by_name)}")
        return stream.table


class Route(msgspec.Struct, frozen=True):
    """Where a message goes: to its stream, or with the reason why none takes it to the default one, as a reject.

    It `may_be_personal` if no rule names its stream and others hold personal data, or none takes it and any does.
    """

    stream: str
    unroutable: str = ""
    may_be_personal: bool = False


_Attributes = tuple[tuple[str, tuple[str, ...]], ...]


class RoutingTable:
    """Decides which stream a message belongs to, without decoding it.

    The first of these that names a stream decides:

    1. the path of the push: `/pubsub/push/{stream}`
    2. the subscription that delivered the message
    3. the attribute `stream`, with the name of a stream
    4. the attributes that a stream declares
    5. the first stream, if it declares neither subscriptions nor attributes

    A path or an attribute `stream` that names no stream, and attributes that match several, make the message
    unroutable, as does an exhausted list: it is stored among the rejects with the reason, and acknowledged. A
    deployment with a single type has no rules: it takes every message, unless the path names another stream.
    """

    def __init__(self, streams: Streams) -> None:
        first = streams.default
        self._default = first.name
        self._only = None if streams.are_named else Route(first.name)
        personal = [table for table in streams.tables if holds_personal_data(table)]
        self._is_any_personal, is_another = bool(personal), any(table is not first.table for table in personal)
        self._fallback = (
            None if first.subscriptions or first.attributes else Route(first.name, may_be_personal=is_another)
        )
        self._routed = {name: Route(name) for name in streams.by_name}
        self._by_subscription = {
            _short(each): stream.name for stream in streams.by_name.values() for each in stream.subscriptions
        }
        self._by_attributes = [
            (stream.name, stream.attributes) for stream in streams.by_name.values() if stream.attributes
        ]

    def route(self, subscription: str | None, attributes: Mapping[str, str], path: str = "") -> Route:
        """Return the stream of a message, or why it has none; `path` is what the path of its push names."""
        if path:
            return self._routed.get(path) or self._no_stream(
                f"there is no stream {path[:100]!r}, which the path of the push names"
            )
        if self._only is not None:
            return self._only
        if subscription is not None and (name := self._by_subscription.get(_short(subscription))) is not None:
            return self._routed[name]
        named = attributes.get(ATTRIBUTE)
        if named is not None:
            return self._routed.get(named) or self._no_stream(
                f"there is no stream {named[:100]!r}, which the attribute {ATTRIBUTE} names"
            )
        return self._by_declared_attributes(attributes)

    def _by_declared_attributes(self, attributes: Mapping[str, str]) -> Route:
        matches = [name for name, rules in self._by_attributes if _match(rules, attributes)]
        if len(matches) > 1:
            listed = ", ".join(matches[:_MAX_LISTED])
            why = f"the attributes of the message match {len(matches)} streams: {listed}"
            return Route(self._default, why, self._is_any_personal)
        if matches:
            return self._routed[matches[0]]
        return self._fallback or self._no_stream(
            "neither the path of the push, nor the subscription, nor an attribute names a stream"
        )

    def _no_stream(self, why: str) -> Route:
        names = [*self._routed]
        known = ", ".join(names[:_MAX_LISTED]) + (", …" if len(names) > _MAX_LISTED else "")
        return Route(self._default, f"{why}; the streams are {known}", self._is_any_personal)


def _short(subscription: str) -> str:
    """Return a subscription's own name, without that of its project."""
    return subscription.rpartition("/subscriptions/")[2]


def _match(rules: _Attributes, attributes: Mapping[str, str]) -> bool:
    return all(attributes.get(name) in values for name, values in rules)


def load_streams(settings: StoreSettings, *, only_describes: bool = False) -> Streams:
    """Import what SLUICE_STREAMS names, or the single type that SLUICE_RECORD names.

    `only_describes` needs no secret for personal data: nothing is stored or looked up.

    Raises:
        StreamsError: the mapping cannot be imported, a stream in it is wrong, or the secret is missing.
        RecordTypeError: the single type cannot be stored.
    """
    hasher = hasher_of(settings.pii_secret)
    if settings.streams:
        declared = _imported(settings.streams)
        streams = make_streams(declared, default_retention_days=settings.retention_days, hasher=hasher)
    else:
        streams = single_stream(load_record_type(settings.record), hasher)
    hashed = [] if hasher is not None or only_describes else [*_hashed(streams)]
    if hashed:
        raise StreamsError(
            f"SLUICE_PII_SECRET is missing: {', '.join(hashed)} {_HASHES}; "
            f"set a random text of at least {MIN_SECRET_LENGTH} characters and keep it, as hashes depend on it"
        )
    return streams


_HASHES = "has the role pii:hash"


def _hashed(streams: Streams) -> Iterator[str]:
    for table in streams.tables:
        for path, column in flat(table.record):
            if Role.HASH in column.roles:
                yield f"{table.record_type.__name__}.{path}"


def single_stream(record_type: RecordType, hasher: Hasher | None = None) -> Streams:
    """Return the streams of a deployment that stores one type.

    Raises:
        RecordTypeError: it cannot be stored.
    """
    return of_table(checked_table(record_type, hasher=hasher))


def of_table(table: Table) -> Streams:
    """Return the streams of a deployment whose records are in this one table."""
    return Streams({table.name: DeclaredStream(name=table.name, table=table)}, are_named=False)


def make_streams(declared: Any, *, default_retention_days: int, hasher: Hasher | None = None) -> Streams:
    """Check a mapping from names to record types or `Stream`s, and return the streams.

    Raises:
        StreamsError: one is wrong, or two take the same messages.
    """
    if not isinstance(declared, Mapping) or not declared:
        raise StreamsError(
            f"expected a mapping of at least one stream, from its name to a record type, not {declared!r:.80}"
        )
    if len(declared) > MAX_STREAMS:
        raise StreamsError(f"{len(declared)} streams: expected at most {MAX_STREAMS} in one deployment")
    streams: dict[str, DeclaredStream] = {}
    for name, value in declared.items():
        try:
            streams[name] = _declared(name, value, default_retention_days, hasher)
        except RecordTypeError as error:
            raise StreamsError(f"stream {name!r}: {error}") from error
    _check_ambiguities(streams)
    return Streams(streams)


def _imported(spec: str) -> Any:
    try:
        return import_declaration(spec, form="package.module:NAME", example="shop.streams:STREAMS")
    except DeclarationError as error:
        raise StreamsError(f"SLUICE_STREAMS={spec!r} {error}") from error


def _declared(name: Any, value: Any, default_retention_days: int, hasher: Hasher | None) -> DeclaredStream:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == REJECTS or name.startswith("sluice_"):
        raise StreamsError(
            "a name must be 1 to 63 characters of a-z, 0-9 and `_`, begin with a letter but not with "
            f"`sluice_`, and not be `{REJECTS}`: it is also the name of the table"
        )
    stream = value if isinstance(value, Stream) else Stream(record=value)
    if not is_record_type(stream.record):
        raise StreamsError(
            f"{stream.record!r:.80} is no record type: expected a msgspec.Struct, Versions of one, or Stream(record=…)"
        )
    days = default_retention_days if stream.retention_days is None else stream.retention_days
    if type(days) is not int or days < 1:
        raise StreamsError(f"retention_days is {stream.retention_days!r}: expected a whole number of days, at least 1")
    return DeclaredStream(
        name=name,
        table=checked_table(stream.record, name=name, retention_days=days, hasher=hasher),
        subscriptions=_texts("subscriptions", stream.subscriptions),
        attributes=tuple((key, _texts(f"attributes[{key!r}]", values)) for key, values in _rules(stream.attributes)),
    )


def _rules(rules: Any) -> list[tuple[str, Any]]:
    if not isinstance(rules, Mapping) or not all(isinstance(key, str) and key for key in rules):
        raise StreamsError(f"{rules!r:.80}: expected a mapping from a name to its value, or to several values")
    if ATTRIBUTE in rules:
        raise StreamsError(f"attributes[{ATTRIBUTE!r}]: this attribute holds the name of a stream and needs no rule")
    return sorted(rules.items())


def _texts(where: str, values: Any) -> tuple[str, ...]:
    items = list(values) if isinstance(values, tuple | list | set | frozenset) else [values]
    if not all(isinstance(value, str) and value for value in items):
        raise StreamsError(f"{where} is {values!r:.80}: expected a text, or several")
    return tuple(dict.fromkeys(items))


def _check_ambiguities(streams: Mapping[str, DeclaredStream]) -> None:
    """Check that no two streams share a rule: their messages could go to either."""
    taken: dict[Any, str] = {}
    for stream in streams.values():
        rules: list[Any] = [f"the subscription {each}" for each in stream.subscriptions]
        for rule in [*rules, *([stream.attributes] if stream.attributes else [])]:
            first = taken.setdefault(rule, stream.name)
            if first != stream.name:
                described = rule if isinstance(rule, str) else "the same attributes"
                raise StreamsError(f"streams {first!r} and {stream.name!r} both take {described}; only one of them may")
