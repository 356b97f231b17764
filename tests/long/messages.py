"""What a run sends and what befalls it, from a seed. Pure: the same seed and size make the same plan."""

import gzip
import random
import signal
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

AT_STORE = "poison-at-store"
"""Records with this in their id pass the service's checks, and the store refuses them."""
SUBSCRIPTION = "projects/p/subscriptions/chaos"
_EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)
_WORDS = ("zoë", "snow ☃", 'a "quoted" word', "line\nbreak", "back\\slash", "", "plain", "日本語", "\u2028")

Reason = Literal["malformed", "invalid", "bad_encoding", "empty", "refused"]
Copies = Literal["none", "at once", "later"]


class Item(msgspec.Struct, frozen=True):
    """One record of a message as it was sent; `reason` is why it must end among the rejects, None when it must not."""

    index: int
    raw: bytes
    record: dict[str, Any] | None
    reason: Reason | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, its way in, and what must become of each of its records.

    `items` has what must be kept: for a message that cannot be taken apart, that is one reject of the whole.
    """

    number: int
    way: Literal["push", "post"]
    data: bytes
    attributes: dict[str, str]
    copies: Copies
    items: tuple[Item, ...]
    message_id: str
    publish_time: datetime

    def delivery_key(self, index: int) -> str:
        """Return the key that a pushed record must be stored under (docs/decisions/0004)."""
        published_us = (self.publish_time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return f"{self.message_id}:{published_us}:{index}"


class Kill(msgspec.Struct, frozen=True):
    """End an instance by a signal, and start it again at once."""

    instance: int
    signal: signal.Signals


class Outage(msgspec.Struct, frozen=True):
    """Let the store's write server be gone for so long: connections are cut, new ones refused."""

    seconds: float


class CutReads(msgspec.Struct, frozen=True):
    """Reset the connections to the store's REST API."""


class Event(msgspec.Struct, frozen=True):
    """What happens when so many messages have been answered."""

    at: int
    what: Kill | Outage | CutReads


class Plan(msgspec.Struct, frozen=True):
    """All of a run that can be repeated."""

    seed: int
    messages: tuple[Message, ...]
    events: tuple[Event, ...]


def make_messages(seed: int, messages: int, *, refused: bool = True) -> tuple[Message, ...]:
    """Make the messages of a run; `refused`: some are marked AT_STORE, which the store refuses."""
    return tuple(_message(seed, number, refused=refused) for number in range(messages))


def make_plan(seed: int, messages: int, *, instances: int, kills: int, outages: int, cuts: int) -> Plan:
    """Make the plan of a run: half of the kills are SIGTERM."""
    sent = make_messages(seed, messages)
    dice = random.Random(f"{seed}/events")
    signals = [signal.SIGKILL if number % 2 else signal.SIGTERM for number in range(kills)]
    what: list[Kill | Outage | CutReads] = [Kill(dice.randrange(instances), each) for each in signals]
    what += [Outage(round(dice.uniform(1.0, 2.0), 2)) for _ in range(outages)]
    what += [CutReads() for _ in range(cuts)]
    dice.shuffle(what)
    # One in each stretch of the run, somewhere, so that they do not all come together by chance.
    stretch = messages * 0.9 / max(len(what), 1)
    moments = (round(messages * 0.05 + stretch * (number + dice.random())) for number in range(len(what)))
    return Plan(seed, sent, tuple(Event(at, each) for at, each in zip(moments, what, strict=True)))


def _message(seed: int, number: int, *, refused: bool) -> Message:
    dice = random.Random(f"{seed}/message/{number}")
    form = dice.choices(("one", "array", "ndjson"), (80, 10, 10))[0]
    count = 1 if form == "one" else dice.randint(1, 6)
    pieces = [_piece(dice, f"{seed}-{number}-{index}", refused=refused) for index in range(count)]
    attributes = {"n": str(number)}
    if form == "array":
        data = b"[" + b",".join(raw for raw, _, _ in pieces) + b"]"
    else:
        data = b"\n".join(raw for raw, _, _ in pieces)
    if form == "ndjson":
        attributes["content-type"] = "application/x-ndjson"
    if dice.random() < 0.1:
        data = gzip.compress(data, mtime=0)
        attributes["content-encoding"] = "gzip"
    spoilt = dice.random()
    whole: Reason | None = None
    if spoilt < 0.002:
        data, whole, attributes["content-encoding"] = b"\x1f\x8b" + data, "bad_encoding", "gzip"
    elif spoilt < 0.004:
        data, whole = b"", "empty"
        attributes.pop("content-encoding", None)
    elif form == "array" and any(reason == "malformed" for _, _, reason in pieces):
        whole = "malformed"  # an array that is not JSON cannot be taken apart
    items = (
        tuple(Item(index, *piece) for index, piece in enumerate(pieces))
        if whole is None
        else (Item(0, data, None, whole),)
    )
    return Message(
        number=number,
        # An answer names the keys of its records only if one of them is good; the ledger needs them.
        way="post" if dice.random() < 0.05 and any(item.record for item in items) else "push",
        data=data,
        attributes=attributes,
        copies=dice.choices(("none", "at once", "later"), (88, 6, 6))[0],
        items=items,
        message_id=str(10**15 + number),
        publish_time=_EPOCH + timedelta(microseconds=dice.randrange(10**9)),
    )


def _piece(dice: random.Random, record_id: str, *, refused: bool) -> tuple[bytes, dict[str, Any] | None, Reason | None]:
    """Return the bytes of a record, what they mean, and why it must be rejected, if it must."""
    record: dict[str, Any] = {
        "id": record_id,
        "timestamp": (_EPOCH + timedelta(microseconds=dice.randrange(10**12))).isoformat(),
        "data": {"n": dice.randrange(10**9), "words": dice.sample(_WORDS, 2), "deep": {"x": dice.random() < 0.5}},
    }
    if dice.random() < 0.7:
        record["source"] = dice.choice(("checkout", "søurce", "b"))
    kind = dice.random()
    if kind < 0.010:
        raw = msgspec.json.encode(record)
        return raw[: dice.randint(1, len(raw) - 1)], None, "malformed"
    if kind < 0.025:
        wrong: list[dict[str, Any]] = [{"timestamp": "yesterday"}, {"id": ""}, {"source": 7}, {"colour": "red"}]
        return msgspec.json.encode(record | dice.choice(wrong)), None, "invalid"
    if kind < 0.029 and refused:
        return msgspec.json.encode(record | {"id": f"{record_id}-{AT_STORE}"}), None, "refused"
    return msgspec.json.encode(record), record, None
