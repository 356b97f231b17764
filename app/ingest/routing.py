"""Decide which stream a message belongs to, without decoding it. Pure.

The first of these that names a stream decides:

1. the path of the push: `/pubsub/push/{stream}`
2. the subscription that delivered the message
3. the attribute `stream`, with the name of a stream
4. the attributes that a stream declares
5. the first stream, if it declares neither subscriptions nor attributes

A path or an attribute `stream` that names no stream, and attributes that match several, make the message unroutable,
as does an exhausted list: it is stored among the rejects with the reason, and acknowledged. A deployment with a single
type has no rules: it takes every message, unless the path names another stream.
"""

from collections.abc import Mapping

import msgspec

from app.ingest.decode.envelope import Message
from app.schema.protection import holds_personal_data
from app.streams import ATTRIBUTE, Streams

_SUBSCRIPTIONS = "/subscriptions/"
_MAX_NAMED = 10


class Route(msgspec.Struct, frozen=True):
    """Where a message goes: to its stream, or with the reason why none takes it to the default one, as a reject.

    It `may_be_personal` if no rule names its stream and others hold personal data, or none takes it and any does.
    """

    stream: str
    unroutable: str = ""
    may_be_personal: bool = False


_Attributes = tuple[tuple[str, tuple[str, ...]], ...]


class RoutingTable:
    """The rules of all streams, ready to be applied."""

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

    def route(self, message: Message, path: str = "") -> Route:
        """Return the stream of a message, or why it has none; `path` is what the path of its push names."""
        if path:
            return self._routed.get(path) or self._no_stream(
                f"there is no stream {path[:100]!r}, which the path of the push names"
            )
        if self._only is not None:
            return self._only
        subscription = message.subscription_name
        if subscription is not None and (name := self._by_subscription.get(_short(subscription))) is not None:
            return self._routed[name]
        named = message.attributes.get(ATTRIBUTE)
        if named is not None:
            return self._routed.get(named) or self._no_stream(
                f"there is no stream {named[:100]!r}, which the attribute {ATTRIBUTE} names"
            )
        return self._by_declared_attributes(message.attributes)

    def _by_declared_attributes(self, attributes: Mapping[str, str]) -> Route:
        matches = [name for name, rules in self._by_attributes if _match(rules, attributes)]
        if len(matches) > 1:
            listed = ", ".join(matches[:_MAX_NAMED])
            why = f"the attributes of the message match {len(matches)} streams: {listed}"
            return Route(self._default, why, self._is_any_personal)
        if matches:
            return self._routed[matches[0]]
        return self._fallback or self._no_stream(
            "neither the path of the push, nor the subscription, nor an attribute names a stream"
        )

    def _no_stream(self, why: str) -> Route:
        names = [*self._routed]
        known = ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
        return Route(self._default, f"{why}; the streams are {known}", self._is_any_personal)


def _short(subscription: str) -> str:
    """Return a subscription's own name, without that of its project."""
    return subscription.rpartition(_SUBSCRIPTIONS)[2]


def _match(rules: _Attributes, attributes: Mapping[str, str]) -> bool:
    return all(attributes.get(name) in values for name, values in rules)
