"""Parse the request for a tail."""

import msgspec

from app.http.problems import ProblemError
from app.query.cursor import decode_cursor
from app.query.params.canaries import read_canary_filter
from app.query.params.catalogue import LAST_EVENT_ID, TAIL_PARAMETERS
from app.query.params.collector import Parameters
from app.query.params.filters import fingerprint, in_order
from app.query.params.page import Now, QueryableTable, read_fields
from app.runtime.instants import DAY_US, clamp, parse_instant, to_text
from app.schema.columns import Column
from app.stores.query import Condition, Position


class TailRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The requested tail: the `columns` of the rows after `start` that match `conditions`.

    `fingerprint` identifies those conditions in cursors.
    """

    start: Position
    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...]
    fingerprint: str


def parse_tail_request(
    query: str, last_event_id: str | None, subject: QueryableTable, table: str, now: Now
) -> TailRequest:
    """Read the parameters of a tail of `table` from the query string, and the header.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong, or `invalid_cursor`.
    """
    given = Parameters(query, TAIL_PARAMETERS, subject.fields)
    cursor = given.text("cursor")
    if cursor is not None and given.text("since") is not None:
        given.refuse("since", "the cursor already says where to begin; omit this parameter, or the cursor")
    since_us = given.value("since", lambda text: parse_instant(text, now.now_us))
    earliest_us = clamp(now.horizon_us - subject.max_window_days * DAY_US)
    if since_us < earliest_us and not last_event_id:  # a stored URL gets old; the header takes precedence
        given.members["max_window_days"] = subject.max_window_days
        message = f"a tail must begin at most {subject.max_window_days} days ago; read older records in pages"
        given.refuse("since", message, to_text(earliest_us))
    columns = read_fields(given, subject.columns)
    canaries = read_canary_filter(given)
    given.check()
    mark = fingerprint(given.conditions, canaries.mark)
    conditions = in_order((*given.conditions, *canaries.conditions))
    if last_event_id:
        start = _place_of(last_event_id, table, mark, of=f"{LAST_EVENT_ID}: ")
    else:
        start = Position(since_us, "") if cursor is None else _place_of(cursor, table, mark)
    return TailRequest(start=start, columns=columns, conditions=conditions, fingerprint=mark)


def _place_of(text: str, table: str, mark: str, of: str = "") -> Position:
    """Return the position of a resume cursor."""
    try:
        cursor = decode_cursor(text, table=table, fingerprint=mark)
    except ProblemError as error:
        raise ProblemError(error.code, of + error.detail) from None
    if cursor.until_us is not None:
        raise ProblemError(
            "invalid_cursor", f"{of}the cursor is a next_cursor, which ends with its window; expected a resume_cursor"
        )
    return cursor.after or Position(cursor.since_us, "")
