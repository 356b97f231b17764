"""The canary of a stream, made to come the way of the stream's own messages. Pure.

It goes to the topic of the stream's subscription, with the attributes that the declaration and the subscription's
filter ask for. So it comes to its stream where several share a topic, too, if the messages of producers do.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.ingest.proof import CANARY, SIGNATURE
from app.record import RecordTypeError
from app.schema.example import example_record
from app.streams import ATTRIBUTE, DeclaredStream
from sluice.ops.preflight.finding import Failed, NotLooked
from sluice.ops.preflight.plan import Deployment, streams_of
from sluice.ops.preflight.subscription import DELETED

# https://cloud.google.com/pubsub/docs/subscription-message-filter#filtering_syntax: `attributes:KEY`,
# `attributes.KEY = "VALUE"` and `hasPrefix(attributes.KEY, "VALUE")`, each after NOT or `-` if it is negated.
_TERM = re.compile(
    r'(?P<negated>(?:\bNOT\s+|-)\s*)?(?:hasPrefix\s*\(\s*)?attributes\s*(?P<how>[.:])\s*(?:"(?P<quoted>[^"]*)"|(?P<key>[\w-]+))'
    r'(?:\s*(?P<unequal>!=|=|,)\s*"(?P<value>[^"]*)")?'
)


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """A message, the topic it goes to, and the filter it has to pass ("": none)."""

    topic: str
    message: Mapping[str, Any]
    filter: str = ""


def subscriptions_of(deployment: Deployment) -> Sequence[str]:
    """Return the full names of the subscriptions that may deliver the stream's messages, that of Terraform first.

    Raises:
        RecordTypeError: the record type is not here, or cannot be stored.
    """
    declared = streams_of(deployment).by_name[deployment.stream].subscriptions
    full = [each if "/" in each else f"projects/{deployment.project}/subscriptions/{each}" for each in declared]
    return [deployment.subscription, *full]


def canary_of(deployment: Deployment, subscription: Mapping[str, Any] | None) -> Canary | Failed | NotLooked:
    """Return the canary of the stream that is looked at, or why there can be none.

    `subscription` is the stream's push subscription; a single type needs none, as its topic has a fixed name.
    """
    signature = deployment.settings.auth.heartbeat_signature
    if not signature:
        return NotLooked("the service accepts no canaries (`heartbeat = null`)")
    topic, filter_ = deployment.topic, ""
    if subscription is not None:
        topic, filter_ = str(subscription.get("topic", "")), str(subscription.get("filter", ""))
        if topic == DELETED:
            return Failed("the topic of its subscription was deleted", "`terraform apply`")
        if not (subscription.get("pushConfig") or {}).get("pushEndpoint"):
            return NotLooked("its messages are not pushed, so a canary would wait (see `subscription-push`)")
    own = _own_message(deployment, filter_)
    if isinstance(own, NotLooked):
        return own
    record, attributes = own
    data = base64.b64encode(msgspec.json.encode(record)).decode()
    marked = {**attributes, CANARY: "1", SIGNATURE: signature}
    return Canary(topic=topic, message={"data": data, "attributes": marked}, filter=filter_)


def _own_message(deployment: Deployment, filter_: str) -> tuple[dict[str, Any], Mapping[str, str]] | NotLooked:
    """Return a record of the stream, and the attributes that its message needs."""
    try:
        streams = streams_of(deployment)
        table = streams.table(deployment.stream)
        record = example_record(table)
    except RecordTypeError as error:
        return NotLooked(f"the record type of the service cannot be loaded here: {error}")
    if record is None:
        return NotLooked("no valid example can be derived from the record type")
    if not streams.are_named:
        return record, {}
    return record, own_attributes(streams.by_name[deployment.stream], filter_)


def own_attributes(stream: DeclaredStream, filter_: str) -> dict[str, str]:
    """Return attributes by which messages pass the filter and belong to the stream.

    Of a filter the first alternative counts, if it has several. A stream without rules is named by an attribute.
    """
    terms = _equal_terms(filter_)
    declared = {
        name: terms[name] if terms.get(name) in values else values[0] for name, values in stream.attributes if values
    }
    has_rules = bool(stream.attributes or stream.subscriptions)
    return ({} if has_rules else {ATTRIBUTE: stream.name}) | terms | declared


def _equal_terms(filter_: str) -> dict[str, str]:
    terms: dict[str, str] = {}
    for term in _TERM.finditer(filter_.partition(" OR ")[0]):
        if not term["negated"] and term["unequal"] != "!=":
            terms.setdefault(term["quoted"] or term["key"], term["value"] or "1")
    return terms
