"""Decide which stream a message belongs to. Pure.

The first of these that names a stream decides:

1. the path of the push: `/pubsub/push/{stream}`; a name that is no stream is unroutable
2. the subscription that delivered the message
3. its attributes: `stream` with the name of a stream, or the attributes that a stream declares
4. members of its records, as a stream declares them; all records of the message must agree

Where two streams match at one level, or none matches at any, the message is unroutable: it is stored among the rejects
with the reason, and acknowledged. A deployment with a single type has no rules: it takes every message, unless the path
names another stream.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from app.ingest.decoding_cost import SMALL_BYTES, Steps
from app.ingest.envelope import Message
from app.ingest.payload_hints import is_ndjson_type
from app.ingest.record_splitter import Unreadable, pieces_of, text_of
from app.settings.ingest import IngestSettings
from app.streams import Streams, Value

ATTRIBUTE = "stream"
_SUBSCRIPTIONS = "/subscriptions/"
_MAX_NAMED = 10
_MAX_VALUE_BYTES = 4_096
"""A longer value of a member matches no declared one; it is not decoded."""
_array = msgspec.json.Decoder(list[msgspec.Raw])


class Routed(msgspec.Struct, frozen=True):
    """The message belongs to this stream."""

    stream: str


class Unroutable(msgspec.Struct, frozen=True):
    """No stream takes the message; `detail` says what would be right."""

    detail: str


class AskMembers(msgspec.Struct, frozen=True):
    """The envelope does not decide; the members of the records may."""


Route = Routed | Unroutable
_Attributes = tuple[tuple[str, tuple[str, ...]], ...]


class RoutingTable:
    """The rules of all streams, ready to be applied."""

    def __init__(self, streams: Streams) -> None:
        self._names = streams.by_name.keys()
        self._only = None if streams.are_named else Routed(streams.default.name)
        self._routed = {name: Routed(name) for name in streams.by_name}
        self._by_subscription = {
            _short(each): stream.name for stream in streams.by_name.values() for each in stream.subscriptions
        }
        self._by_attributes = [
            (stream.name, stream.attributes) for stream in streams.by_name.values() if stream.attributes
        ]
        self._by_members = [
            (stream.name, [(path, _typed(values)) for path, values in stream.members])
            for stream in streams.by_name.values()
            if stream.members
        ]
        self._members = {path: _Member(path) for _, rules in self._by_members for path, _ in rules}

    def by_envelope(self, message: Message) -> Route | AskMembers:
        """Return the stream of a message, as far as its path and its envelope decide."""
        if message.route:
            return self._routed.get(message.route) or self.no_stream(
                f"there is no stream {message.route[:100]!r}, which the path of the push names"
            )
        if self._only is not None:
            return self._only
        subscription = message.subscription_name
        if subscription is not None and (name := self._by_subscription.get(_short(subscription))) is not None:
            return self._routed[name]
        return self._by_its_attributes(message.attributes)

    def by_members(self, records: Iterable[bytes]) -> Route:
        """Return the stream of a message with these records, each as JSON; all of them must agree."""
        agreement = Agreement(self)
        for record in records:
            fault = agreement.add(record)
            if fault is not None:
                return fault
        return agreement.route()

    def of_record(self, record: bytes, index: int) -> Route:
        """Return the stream of the record at `index` of a message, by its members."""
        try:
            values = {path: member.of(record) for path, member in self._members.items()}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self.no_stream(f"record {index} is not a JSON object whose members could tell: {str(error)[:200]}")
        matches = [name for name, rules in self._by_members if all(values[path] in typed for path, typed in rules)]
        if not matches:
            named = ", ".join(sorted(self._members)[:_MAX_NAMED])
            return self.no_stream(f"the members of record {index} ({named}) match no stream")
        return self._one_of(matches, f"the members of record {index} match")

    def no_stream(self, why: str) -> Unroutable:
        """Return that no stream takes the message, and which streams there are."""
        names = [*self._names]
        known = ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
        return Unroutable(f"{why}; the streams are {known}")

    def _by_its_attributes(self, attributes: Mapping[str, str]) -> Route | AskMembers:
        named = attributes.get(ATTRIBUTE)
        if named is not None and named in self._names:
            return self._routed[named]
        matches = [name for name, rules in self._by_attributes if _match(rules, attributes)]
        if matches:
            return self._one_of(matches, "the attributes of the message match")
        if self._by_members:
            return AskMembers()
        reason = "neither the path of the push, nor the subscription, nor an attribute names a stream"
        return self.no_stream(reason if named is None else f"the attribute stream is {named[:100]!r}")

    def _one_of(self, matches: Sequence[str], why: str) -> Route:
        if len(matches) == 1:
            return self._routed[matches[0]]
        return Unroutable(f"{why} {len(matches)} streams: {', '.join(matches[:_MAX_NAMED])}")


class Agreement:
    """Compares the streams of a message's records, in their order."""

    def __init__(self, table: RoutingTable) -> None:
        self._table, self._count = table, 0
        self._route: Routed | None = None

    def add(self, record: bytes) -> Unroutable | None:
        """Add the next record, as JSON; return why the message is unroutable, if it now is."""
        route = self._table.of_record(record, self._count)
        if isinstance(route, Unroutable):
            return route
        if self._route is not None and route is not self._route:
            return Unroutable(
                f"record 0 belongs to {self._route.stream}, record {self._count} to {route.stream}: send the records "
                "of one stream in one message"
            )
        self._route = route
        self._count += 1
        return None

    def route(self) -> Route:
        """Return the stream that all records agree on."""
        return self._route or self._table.no_stream("the message has no record whose members could tell")


def route_at_once(table: RoutingTable, message: Message) -> Route | None:
    """Return the stream of a message whose envelope or small payload decides; None if `route_in_steps` must."""
    route = table.by_envelope(message)
    if not isinstance(route, AskMembers):
        return route
    data = message.data
    if message.content_encoding or len(data) > SMALL_BYTES or is_ndjson_type(message.content_type):
        return None
    if data[:1] == b"{":
        return table.by_members((data,))
    if data[:1] != b"[":
        return None
    try:
        return table.by_members(map(bytes, _array.decode(data)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # in steps, the error names its place


def route_in_steps(table: RoutingTable, message: Message, limits: IngestSettings) -> Steps[Route]:
    """Return the stream of a message by the members of its records, in steps, as `RecordReader.read` reads them."""
    text = yield from text_of(message, limits.max_decompressed_bytes)
    if isinstance(text, Unreadable):
        return Unroutable(f"the records, which would tell the stream, cannot be read: {text.detail}")
    pieces = yield from pieces_of(message, text, most=limits.max_records_per_message)
    if isinstance(pieces, Unreadable):
        return Unroutable(f"the records, which would tell the stream, cannot be read: {pieces.detail}")
    agreement = Agreement(table)
    for index in range(len(pieces)):
        fault = agreement.add(pieces[index])
        if fault is not None:
            return fault
        yield 0
    return agreement.route()


class _Member:
    """Reads the scalar member at a dotted path, without decoding, or keeping, any other member."""

    def __init__(self, path: str) -> None:
        self._levels = [_decoder_of(name) for name in path.split(".")]

    def of(self, record: bytes) -> tuple[type, Value] | None:
        """Return the type and value of the member of a record; None if it has no such scalar.

        Raises:
            msgspec.DecodeError: the record is no JSON object.
        """
        raw: bytes | memoryview = self._levels[0].decode(record).member
        try:
            for level in self._levels[1:]:
                raw = level.decode(raw or b"{}").member
            value = msgspec.json.decode(raw) if 0 < len(raw) <= _MAX_VALUE_BYTES else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return (type(value), value) if isinstance(value, str | int | bool) else None


def _decoder_of(name: str) -> msgspec.json.Decoder[Any]:
    """Return a decoder of objects that keeps the member `name` only, undecoded, as `member`."""
    field = ("member", msgspec.Raw, msgspec.field(default=msgspec.Raw(b""), name=name))
    return msgspec.json.Decoder(msgspec.defstruct("Object", [field]))


def _short(subscription: str) -> str:
    """Return a subscription's own name, without that of its project."""
    return subscription.rpartition(_SUBSCRIPTIONS)[2]


def _match(rules: _Attributes, attributes: Mapping[str, str]) -> bool:
    return all(attributes.get(name) in values for name, values in rules)


def _typed(values: Sequence[Value]) -> frozenset[tuple[type, Value]]:
    """Return values with their types: in Python `1 == True`."""
    return frozenset((type(value), value) for value in values)
