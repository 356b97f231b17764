"""Decide what happens to a message that the store refuses when it is alone in its append; remember the cases. Pure.

The store may refuse an append without naming a row, or name a few rows of many. The message then leaves its shared
batch and is appended alone (app.ingest.suspect_lane), so that a refusal cannot be about another message. Still, the
message or the table may be at fault:

- The message is, if the table has stored anything meanwhile.
- The table is, if different messages are refused alone and nothing was stored.
- If there is nothing to compare with, the message is answered 503 and remembered. After a few deliveries, if a check of
  the table finds nothing wrong, it is rejected.
"""

import msgspec

from app.ingest.retry_policy import Bisect, Disposition, RejectRows, decide
from app.stores.sink import Outcome, RowError, RowsRefused

ALONE_REFUSALS = 3
"""How often a message is refused alone before evidence from other messages, or a check of the table, can reject it."""
AGREEING = 3
"""How many messages are refused alone before the table is blamed, when no other append is in flight."""
AGREEING_AT_ONCE, AGREEING_FOR_US = 20, 5_000_000
"""The same when other appends are in flight, and for how long nothing must have been stored."""
HIGH_DELIVERY_ATTEMPT = 5
"""A message delivered this often is appended alone if the lane has room: an outage redelivers good messages too."""
SPARE_REFUSALS = 24
_MAX_CASES, _MAX_AGE_US = 10_000, 3_600_000_000  # longer than any retry back-off of a subscription


class RejectRest(msgspec.Struct, frozen=True):
    """Every row of the message that is not durable yet goes to the rejects."""

    detail: str


class Repeat(msgspec.Struct, frozen=True):
    """Append the same rows again: another refusal makes it certain."""


class Compare(msgspec.Struct, frozen=True):
    """Wait for the outcome of other messages: nothing was stored yet that would clear the table."""

    detail: str


SuspectStep = Disposition | RejectRest | Repeat | Compare


class Case(msgspec.Struct):
    """The record of one suspect across its deliveries.

    `refusals` counts refused appends of this message alone; `deliveries` counts deliveries that ended with nothing to
    compare with.
    """

    at_us: int = 0
    refusals: int = 0
    deliveries: int = 0


class Suspects:
    """The cases by message key. They are forgotten after an hour, the oldest earlier if there are too many."""

    def __init__(self) -> None:
        self.by_key: dict[str, Case] = {}

    def __len__(self) -> int:
        """Return how many messages are remembered."""
        return len(self.by_key)

    def find(self, key: str, now_us: int) -> Case:
        """Return the case against a message, or a new one that is not remembered yet."""
        suspect = self.by_key.get(key)
        return Case() if suspect is None or now_us - suspect.at_us > _MAX_AGE_US else suspect

    def remember(self, key: str, case: Case, now_us: int) -> None:
        """Remember `case`, if the message has a key; forget the oldest when there are too many."""
        if key:
            case.at_us = now_us
            self.by_key.pop(key, None)
            self.by_key[key] = case  # the latest is the last
            while len(self.by_key) > _MAX_CASES or now_us - next(iter(self.by_key.values())).at_us > _MAX_AGE_US:
                del self.by_key[next(iter(self.by_key))]

    def forget(self, key: str) -> None:
        """Forget a message that was stored."""
        self.by_key.pop(key, None)


def is_spent(case: Case, rows: int) -> bool:
    """Return whether a message of `rows` rows has used up its refusals: what bisecting costs, and a reserve."""
    return case.refusals >= rows.bit_length() + SPARE_REFUSALS


class Evidence(msgspec.Struct, frozen=True):
    """The evidence for the table, and so against the message.

    `table_stores`: something was stored since this delivery was first refused. `siblings_stored`: other rows of this
    message were stored.
    """

    table_stores: bool
    siblings_stored: bool


def suspect_step(  # noqa: PLR0911, PLR0913, PLR0917 - one return for each outcome; all that it depends on
    outcome: Outcome, rows: int, of: int, failures: int, case: Case, evidence: Evidence
) -> SuspectStep:
    """Decide what follows an append that held only `rows` of the `of` rows of one message."""
    step = decide(outcome, rows, 1, failures)
    if not isinstance(outcome, RowsRefused):
        return step
    spent = is_spent(case, of)
    detail = outcome.detail or "the store refused the row without a reason"
    if isinstance(step, RejectRows):
        return RejectRest(f"the store refused this message {case.refusals} times: {detail}") if spent else step
    if spent and evidence.table_stores:
        return RejectRest(f"the store refused this message {case.refusals} times without naming every row: {detail}")
    if rows > 1 and not spent:
        return Bisect()
    if not evidence.table_stores:
        return Compare(detail)
    if evidence.siblings_stored or case.refusals >= ALONE_REFUSALS:
        return RejectRows(dict.fromkeys(range(rows), RowError(detail)))
    return Repeat()
