"""Pages: through a window to its end, and along the feed without end."""

from collections.abc import Sequence
from typing import Any, Never

import msgspec

from sluice_client.errors import ProblemError, ResponseError
from sluice_client.protocol.effects import Emit, Pause, Reply, Steps, T
from sluice_client.protocol.problems import Problem
from sluice_client.protocol.rate_limit import exhausted_for_s
from sluice_client.protocol.requests import Feed, Range, page_request
from sluice_client.protocol.retry import RetryPolicy, ask


class Window(msgspec.Struct, frozen=True):
    """The window that a response read, as instants (RFC 3339, UTC)."""

    since: str
    until: str


class RawPage(msgspec.Struct, frozen=True):
    """A page whose records are not decoded yet."""

    records: msgspec.Raw
    next_cursor: str | None
    resume_cursor: str
    window: Window
    poll_after: float


class Page(msgspec.Struct, frozen=True):
    """Records in the order of the feed, and the cursors behind them.

    `next_cursor` continues in this window and is None at its end; `resume_cursor` continues with everything newer.
    `poll_after` is the number of seconds after which that is worthwhile: 0 if there is more already.
    """

    records: list[dict[str, Any]]
    next_cursor: str | None
    resume_cursor: str
    window: Window
    poll_after: float


class ArrowPage(msgspec.Struct, frozen=True):
    """A page as an Arrow IPC stream, the cursor behind it, and whether there is more already."""

    content: bytes
    resume_cursor: str
    has_more: bool


_RECORDS = msgspec.json.Decoder(list[dict[str, Any]])
_RAW_PAGE = msgspec.json.Decoder(RawPage)


def decode(raw: RawPage) -> Page:
    """Decode the records of a page."""
    return Page(_RECORDS.decode(raw.records), raw.next_cursor, raw.resume_cursor, raw.window, raw.poll_after)


def walk(
    feed: Feed, where: Range, policy: RetryPolicy, *, fields: Sequence[str] = (), order: str = "asc"
) -> Steps[RawPage, None]:
    """Emit the pages of a window to its end. One that is too long for the service is read as adjacent windows.

    Raises:
        ProblemError, UnreachableError, ResponseError: as `ask`; not a page.
    """
    position, rest = where, None
    while True:
        try:
            reply: Reply = yield from ask(page_request(feed, position, fields=fields, order=order), policy)
        except ProblemError as error:
            latest = latest_end(error.problem)
            if not latest or order != "asc" or position.until == latest:
                raise
            rest = Range(since=latest, until=where.until)
            position = Range(since=position.since, until=latest)
            continue
        page = decode_page(reply)
        yield Emit(page)
        if page.next_cursor is not None:
            position = Range(cursor=page.next_cursor)
        elif rest is not None:
            position, rest = rest, None
        else:
            return
        yield from keep_to_quota(reply, 0.0)


def follow(
    feed: Feed,
    where: Range,
    policy: RetryPolicy,
    *,
    fields: Sequence[str] = (),
    wait_s: int = 0,
    poll_s: float = 0.0,
    until_caught_up: bool = False,
) -> Steps[RawPage, None]:
    """Emit the pages of the feed without end, or until there is nothing newer.

    `wait_s`: how long the service may hold a request until there is a record. `poll_s`: the shortest pause between
    requests once there is nothing newer; the service's own `poll_after` holds if it is longer.

    Raises:
        ProblemError, UnreachableError, ResponseError: as `ask`; not a page.
    """
    position = where
    wait_s = 0 if until_caught_up else wait_s
    while True:
        reply: Reply = yield from ask_page(feed, position, policy, fields=fields, wait_s=wait_s)
        page = decode_page(reply)
        yield Emit(page)
        if until_caught_up and page.poll_after > 0:
            return
        position = Range(cursor=page.resume_cursor)
        yield from keep_to_quota(reply, max(page.poll_after, poll_s) if page.poll_after > 0 else 0.0)


def ask_page(feed: Feed, where: Range, policy: RetryPolicy, *, fields: Sequence[str], wait_s: int) -> Steps[T, Reply]:
    """Ask for a page; one that begins longer ago than the longest window ends earlier, but not its resume cursor.

    Raises:
        ProblemError, UnreachableError: as `ask`.
    """
    while True:
        try:
            return (yield from ask(page_request(feed, where, fields=fields, wait_s=wait_s), policy))
        except ProblemError as error:
            latest = latest_end(error.problem)
            if not latest or where.until == latest:
                raise
            where = Range(since=where.since, until=latest)


def arrow(feed: Feed, where: Range, policy: RetryPolicy, *, wait_s: int = 0) -> Steps[Never, ArrowPage]:
    """Ask for one page as Arrow.

    Raises:
        ProblemError, UnreachableError: as `ask`.
    """
    reply: Reply = yield from ask(page_request(feed, where, wait_s=wait_s, format_name="arrow"), policy)
    yield from keep_to_quota(reply, 0.0)
    headers = reply.headers
    return ArrowPage(reply.content, headers.get("sluice-resume-cursor", ""), "sluice-next-cursor" in headers)


def latest_end(problem: Problem) -> str:
    """Return the latest possible end of a window that was refused for its length, or ""."""
    if problem.status != 400 or "max_window_days" not in problem.members:
        return ""
    return next((str(fault.example) for fault in problem.errors if fault.name == "until" and fault.example), "")


def decode_page(reply: Reply) -> RawPage:
    """Return the page that a service answered; raises ResponseError if it is none."""
    try:
        return _RAW_PAGE.decode(reply.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResponseError(f"the response is not a page of records: {error}") from error


def keep_to_quota(reply: Reply, pause_s: float) -> Steps[T, None]:
    """Pause for `pause_s`, and until the caller's quota has something left."""
    pause_s = max(pause_s, exhausted_for_s(reply.headers))
    if pause_s > 0:
        yield Pause(pause_s)
