"""The parameter `heartbeat`: whether a read includes heartbeats, the records that only measure."""

import msgspec

from app.query.params.catalogue import HEARTBEAT
from app.query.params.collector import Parameters
from app.record import HEARTBEAT_PREFIX
from app.schema.columns import Kind
from app.stores.query import Condition


class Heartbeats(msgspec.Struct, frozen=True):
    """The parameter's `choice`, and the `conditions` that implement it."""

    choice: str
    conditions: tuple[Condition, ...]

    @property
    def mark(self) -> str:
        """The mark of the choice in cursors; "" for the default."""
        return "" if self.choice == "exclude" else self.choice


def _condition(operator: str, *values: str) -> Condition:
    return Condition("delivery_key", (), operator, Kind.STRING, values)


# Less than the prefix, or not less than the next text that does not begin with it. NOT STARTS_WITH is equivalent, but
# made a page of the embedded store a third slower: it is evaluated on every row, before rows of other times are
# discarded.
_BEYOND_PREFIX = HEARTBEAT_PREFIX[:-1] + chr(ord(HEARTBEAT_PREFIX[-1]) + 1)
WITHOUT_HEARTBEATS = _condition("outside", HEARTBEAT_PREFIX, _BEYOND_PREFIX)
EXCLUDED = Heartbeats("exclude", (WITHOUT_HEARTBEATS,))
NONE_THERE = Heartbeats("exclude", ())
"""For a table without heartbeats, or one that does not treat them specially."""
_CHOICES = {  # by the words of the parameter
    "exclude": EXCLUDED,
    "include": Heartbeats("include", ()),
    "only": Heartbeats("only", (_condition("prefix", HEARTBEAT_PREFIX),)),
}


def read_heartbeats(given: Parameters) -> Heartbeats:
    """Return the choice of the parameter."""
    return _CHOICES[given.value(HEARTBEAT)]
