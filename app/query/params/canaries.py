"""The parameter `heartbeat`: whether a read includes canaries, the records that only measure."""

import msgspec

from app.query.params.catalogue import CANARY
from app.query.params.collector import Parameters
from app.record import CANARY_PREFIX
from app.schema.columns import Kind
from app.stores.query import Condition


class CanaryFilter(msgspec.Struct, frozen=True):
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
_BEYOND_PREFIX = CANARY_PREFIX[:-1] + chr(ord(CANARY_PREFIX[-1]) + 1)
WITHOUT_CANARIES = _condition("outside", CANARY_PREFIX, _BEYOND_PREFIX)
EXCLUDED = CanaryFilter("exclude", (WITHOUT_CANARIES,))
NONE_THERE = CanaryFilter("exclude", ())
"""For a table without canaries, or one that does not treat them specially."""
_CHOICES = {  # by the words of the parameter
    "exclude": EXCLUDED,
    "include": CanaryFilter("include", ()),
    "only": CanaryFilter("only", (_condition("prefix", CANARY_PREFIX),)),
}


def read_canary_filter(given: Parameters) -> CanaryFilter:
    """Return the choice of the parameter."""
    return _CHOICES[given.value(CANARY)]
