"""States: of each id the latest version. Reading one, and keeping a copy of one current by the feed and erasures."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from sluice_client.errors import ProblemError, TargetError
from sluice_client.protocol.effects import Emit, R, Reply, Steps, T
from sluice_client.protocol.pages import RawPage, ask_page, decode_page, keep_to_quota, walk
from sluice_client.protocol.requests import Feed, Range
from sluice_client.protocol.retry import RetryPolicy

_OVERLAP = timedelta(minutes=5)  # for a minute, an instance may answer with what was erased at another one
_log = logging.getLogger("sluice_client")


class StatePage(RawPage, frozen=True):
    """A page of the state or, behind it, of the feed; its `resume_cursor` says where the copy continues.

    `erased` is applied before the records, and to them: by the digest of an id, the `ingest_time` of the last version
    that was erased.
    """

    erased: Mapping[str, str]


class _Erasure(msgspec.Struct, frozen=True):
    digest: str
    until: str
    ingest_time: datetime


class _Erasures(msgspec.Struct, frozen=True):
    """Erasures in their order: those to `known_from` were known before, and those to `known_to` are now."""

    known_from: datetime
    known_to: datetime
    entries: Sequence[_Erasure] = ()

    @property
    def new(self) -> Iterator[_Erasure]:
        """Those that were not known."""
        return (each for each in self.entries if each.ingest_time >= self.known_from)


class _Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a copy continues: in the state or, once that is read, in the feed; and how far it knows erasures.

    With `again`, it reads the feed from that instant instead of from the cursor. `kept_days`: how long the service
    keeps records, and erasures at least as long, as the window of the state showed.
    """

    cursor: str = ""
    is_in_feed: bool = False
    again: str = ""
    known_to: datetime | None = None
    kept_days: int = 0

    def next_page(self, feed: Feed) -> tuple[Feed, Range]:
        """Return what to ask for."""
        if not self.is_in_feed:
            feed = msgspec.structs.replace(feed, state=True, filters={"tombstones": "include"})
        return feed, Range(since=self.again) if self.again else Range(cursor=self.cursor)

    def behind(self, page: RawPage, erasures: "_Erasures") -> "_Position":
        """Return the position behind a page and the erasures that were read after it.

        A version may have been left out because an erased one has a higher `sequence`: by the copy before this page
        or, in a state, by the service. So the feed is read again from the last version that was erased. Until the state
        is read, its pages may be older than an erasure that is known.
        """
        first = _instant(page.window.since if self.is_in_feed else page.window.until)
        again = [each.until for each in erasures.new if _instant(each.until) < first]
        window = timedelta() if self.is_in_feed else _instant(page.window.until) - _instant(page.window.since)
        kept_days = self.kept_days or round(window / timedelta(days=1))
        if not self.is_in_feed and page.next_cursor is not None:
            return _Position(cursor=page.next_cursor, known_to=erasures.known_from, kept_days=kept_days)
        return _Position(
            cursor=page.resume_cursor,
            is_in_feed=True,
            again=min(again, key=_instant, default=""),
            known_to=erasures.known_to,
            kept_days=kept_days,
        )


_POSITION = msgspec.json.Decoder(_Position)
_ERASURES = msgspec.json.Decoder(list[_Erasure])


def state_of(feed: Feed) -> Feed:
    """Return what is read to get the state of these records.

    Raises:
        ValueError: they are rejects.
    """
    if feed.rejects:
        raise ValueError("rejected records have no state")
    return msgspec.structs.replace(feed, state=True)


def read(feed: Feed, as_of: str, policy: RetryPolicy, *, fields: Sequence[str] = ()) -> Steps[RawPage, None]:
    """Emit the pages of a state; raises as `pages.walk` and `state_of`."""
    return walk(state_of(feed), Range(as_of=as_of), policy, fields=fields, order="")


def follow(
    feed: Feed,
    where: Range,
    policy: RetryPolicy,
    *,
    fields: Sequence[str] = (),
    wait_s: int = 0,
    poll_s: float = 0.0,
    until_caught_up: bool = False,
) -> Steps[StatePage, None]:
    """Emit the pages of a state, tombstones included, and then those of the feed behind it, as `pages.follow` does.

    Raises:
        ProblemError, UnreachableError, ResponseError: as `ask`; not a page.
        TargetError: the copy was not continued for so long that the service may have forgotten erasures.
        ValueError: a time to begin at was given.
    """
    if where.since:
        raise ValueError("a state begins with what there is: omit the time to begin at")
    position = _POSITION.decode(where.cursor) if where.cursor else _Position()
    may_read_erasures = True
    while True:
        may_wait = position.is_in_feed and not until_caught_up
        asked, begin = position.next_page(feed)
        reply: Reply = yield from ask_page(asked, begin, policy, fields=fields, wait_s=wait_s if may_wait else 0)
        page = decode_page(reply)
        known_from = position.known_to or _instant(page.window.until) - _OVERLAP
        erasures = _Erasures(known_from, known_from)
        if may_read_erasures:
            try:
                erasures = yield from _erasures(feed, known_from, policy)
            except ProblemError as error:
                if error.problem.status != 403:
                    raise
                may_read_erasures = False
                _log.warning("what is erased at the service will stay in the table: %s", error)
        if position.kept_days and erasures.known_to - known_from > timedelta(days=position.kept_days):
            raise TargetError(f"erasures since {known_from} may be forgotten: rewind, to read the state again")
        may_be_last = position.is_in_feed and page.poll_after > 0
        position = position.behind(page, erasures)
        erased = {each.digest: each.until for each in sorted(erasures.entries, key=lambda each: _instant(each.until))}
        cursor = msgspec.json.encode(position).decode()
        yield Emit(StatePage(**msgspec.structs.asdict(page) | {"resume_cursor": cursor}, erased=erased))
        is_last = may_be_last and not position.again
        if until_caught_up and is_last:
            return
        yield from keep_to_quota(reply, max(page.poll_after, poll_s) if is_last else 0.0)


def _erasures(feed: Feed, known_from: datetime, policy: RetryPolicy) -> Steps[T, _Erasures]:
    """Ask for the erasures since shortly before `known_from`."""
    since = (known_from - _OVERLAP).isoformat()
    pages = yield from _emitted(walk(Feed(feed.stream, erasures=True), Range(since=since), policy))
    entries = [each for page in pages for each in _ERASURES.decode(page.records)]
    return _Erasures(known_from, max(known_from, _instant(pages[-1].window.until)), entries)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _emitted(steps: Steps[R, None]) -> Steps[T, list[R]]:
    """Return all that a protocol emits."""
    found, outcome = list[R](), None
    while True:
        try:
            effect = steps.send(outcome)
        except StopIteration:
            return found
        if isinstance(effect, Emit):
            found.append(effect.value)
            outcome = None
        else:
            outcome = yield effect
