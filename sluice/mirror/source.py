"""The source of a mirror: its feeds, positions as cursors, and whether its records fit the declarations here."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from app.query.request.cursor import position_in, resume_cursor
from app.query.request.filters import fingerprint
from app.query.request.parameters import CANARY
from app.query.setup import is_of
from app.schema.columns import Mode, flat
from app.schema.table import Table
from app.stores.erasures import ERASURES
from app.stores.query import Position
from app.stores.sink import StoreError
from sluice_client.client import Client
from sluice_client.connection import Token
from sluice_client.errors import ProblemError, ResponseError, UnreachableError
from sluice_client.protocol.requests import Feed
from sluice_client.protocol.retry import RetryPolicy
from sluice_client.protocol.schema import Column, TableSchema


class SourceFeed(msgspec.Struct, frozen=True):
    """A feed of the source: how to ask for it, and the table and the filters that its cursors name."""

    feed: Feed
    table: str
    fingerprint: str

    def cursor(self, position: Position) -> str:
        """Return the cursor of the source that continues behind a position."""
        return resume_cursor(self.table, position, self.fingerprint)

    def position(self, cursor: str) -> Position:
        """Return the position of a resume cursor.

        Raises:
            app.http.problems.ProblemError: it is another version's, or no cursor.
        """
        return position_in(cursor, table=self.table, fingerprint=self.fingerprint)


class SourceStream(msgspec.Struct, frozen=True):
    """A stream of the source, and the table of its records; `erasures` is None if records have no id."""

    table: Table
    records: SourceFeed
    erasures: SourceFeed | None

    @property
    def name(self) -> str:
        """The name of the stream, which is that of its table."""
        return self.table.name


def source_stream(table: Table, *, is_named: bool) -> SourceStream:
    """Return the stream of `table`; `is_named`: the source has it below `/v1/streams`."""
    path = table.name if is_named else ""
    records = SourceFeed(Feed(path, filters={CANARY: "include"}), table.name, fingerprint((), "include"))
    erasures = SourceFeed(Feed(path, erasures=True), ERASURES, fingerprint(is_of(table.name)))
    return SourceStream(table, records, erasures if table.id else None)


def token_of(setting: str) -> Token:
    """Return the token that SLUICE_MIRROR_TOKEN says: itself, or from the file that it names, read for each request."""
    if not setting.startswith("/"):
        return setting
    return lambda: Path(setting).read_text(encoding="utf-8").strip()


def check_source(url: str, token: Token, streams: Sequence[SourceStream]) -> bool:
    """Compare the streams with those of the source; return False if it does not answer now. It blocks.

    Raises:
        StoreError: they differ, or the source refuses; the message says what to do.
    """
    problems = list[str]()
    with Client(url, token=token, retry=RetryPolicy(patience_s=0.0)) as client:
        for stream in streams:
            feed = stream.records.feed
            try:
                found = differences(stream.table, client.schema(feed))
                if stream.erasures is not None:
                    next(client.pages(feed=stream.erasures.feed))
            except (UnreachableError, ResponseError):  # a captive portal is no source
                return False
            except ProblemError as error:
                found = [f"{error}"]
            problems += [f"stream {stream.name}: {each}" for each in found]
    if problems:
        raise StoreError(
            f"{url} cannot be mirrored: {'; '.join(problems)}. Declare what the source declares (SLUICE_STREAMS, "
            "SLUICE_RECORD), keep records no longer (SLUICE_RETENTION_DAYS), and give SLUICE_MIRROR_TOKEN the scope "
            "`read` of these streams, without fixed filters"
        )
    return True


def differences(table: Table, there: TableSchema) -> list[str]:
    """Return how the source's table differs from `table` so that rows or cursors would not fit, as sentences.

    The source may have more columns, but not below a declared one: those would be lost.
    """
    found = [*_differing(table, there.columns)]
    roles = {"id": table.id, "deleted": table.deleted, "sequence": table.sequence}
    own = {role: column.name if column else None for role, column in roles.items()} | {"its name": table.name}
    for what, other in (there.roles | {"its name": there.name}).items():
        if other != own[what]:
            found.append(f"{what} is {other or 'no field'} at the source, and {own[what] or 'no field'} here")
    if (days := table.retention_days or 0) > (there.retention_days or days):
        found.append(f"its records are kept for {there.retention_days} days at the source, and {days} here")
    return found


def _differing(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    there, declared = {each.path: each for each in columns}, dict(flat(table.columns))
    for path, column in declared.items():
        other = there.get(path)
        if other is None:
            yield f"the source has no {path}"
            continue
        kind, mode = column.kind.value, column.mode.value
        loosens = {other.mode, mode} == {Mode.REQUIRED.value, Mode.NULLABLE.value} and column.mode is Mode.NULLABLE
        if other.type != kind or (other.mode != mode and not loosens):
            yield f"{path} is {other.mode} {other.type} at the source, and {mode} {kind} here"
    for path in there:
        if path not in declared and path.rpartition(".")[0] in declared:
            yield f"{path} is not declared here"
