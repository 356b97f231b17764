"""`sluice schema suggest`: the fields to declare for members that arrive and are not declared.

It reads the rests of the newest records, from the store that the settings name or, with `--url`, from the service.
"""

import argparse
import asyncio
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from app.runtime.clock import SystemClock
from app.runtime.instants import parse_instant
from app.schema.columns import Column
from app.schema.seen_members import SeenMember
from app.schema.suggestions import Observation, seen_text, suggestion_text
from app.schema.table import Table, rejects_table
from app.settings.load import Settings, load_settings
from app.stores.query import RowQuery
from app.stores.registry import open_backend
from app.stores.sink import StoreError
from app.stores.source import QueryError, QueryRunner, QueryTooExpensiveError

_PAGE, _TIMEOUT_S = 1_000, 60
_GB = 1_000_000_000
_Answer = TypeVar("_Answer")
_STORE = ("SLUICE_BACKEND", "SLUICE_DATA_PATH", "SLUICE_BIGQUERY_")


class SuggestError(Exception):
    """Nothing can be suggested; the message says what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--since", default="-P1D", help="RFC 3339 or a duration like -PT6H (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=10_000, help="the most records to read (default: %(default)s)")
    parser.add_argument(
        "--max-gb", type=float, default=1.0, help="the most that BigQuery may read, in GB (default: %(default)s)"
    )
    parser.add_argument("--url", default="", help="the service to read instead of the store")
    parser.add_argument("--token", default="", help="bearer token, for a service that requires one")


def run(options: argparse.Namespace, table: Table, tables: tuple[Table, ...], environ: Mapping[str, str]) -> str:
    """Return the suggestions for `table`, one of all `tables`.

    Raises:
        SuggestError: the type keeps nothing, or the store or the service cannot be read.
        SettingsError: the settings are wrong.
    """
    try:
        since_us = parse_instant(options.since, SystemClock().now_us())
    except ValueError as error:
        raise SuggestError(f"--since {options.since}: {error}") from error
    if options.url:
        return _Service(options.url, options.token).suggestions(table, options)
    if table.rest is None:
        raise SuggestError(
            f"{table.name}: the record type keeps no undeclared members, so the table has none; with --url, the "
            "service tells which ones it has rejected or dropped"
        )
    # All other settings are those of a service: a laptop or a CI job has only these.
    settings = load_settings({name: value for name, value in environ.items() if name.startswith(_STORE)})
    try:
        observed = asyncio.run(_observe(settings, table, table.rest, tables, since_us, options))
    except QueryTooExpensiveError as error:
        raise SuggestError(f"{error}; choose a later --since, or a greater --max-gb") from error
    except (StoreError, QueryError) as error:
        raise SuggestError(f"{error} (while a service has the embedded store open, use --url)") from error
    return suggestion_text(table, observed, since=options.since)


async def _observe(  # noqa: PLR0913, PLR0917 - what one run of the command has
    settings: Settings,
    table: Table,
    rest: Column,
    tables: tuple[Table, ...],
    since_us: int,
    options: argparse.Namespace,
) -> Observation:
    """Read the rests of the newest records since `since_us`, from the store."""
    limits = msgspec.structs.replace(settings.query, query_max_bytes_billed=max(round(options.max_gb * _GB), 1))
    clock = SystemClock()
    backend = open_backend(msgspec.structs.replace(settings, query=limits), (*tables, rejects_table()), clock)
    try:
        return await observe(backend.runner, table, rest, Window(since_us, clock.now_us() + 1, options.rows))
    finally:
        await backend.close()


class Window(NamedTuple):
    """The newest `rows` records stamped in [from_us, to_us)."""

    from_us: int
    to_us: int
    rows: int


async def observe(runner: QueryRunner, table: Table, rest: Column, window: Window) -> Observation:
    """Read the rests of a window by one query: on BigQuery, each would read the same partitions again.

    Raises:
        QueryError: the store cannot answer, or the query would read too much.
    """
    observed = Observation(table)
    query = RowQuery(
        table=table.name,
        from_us=window.from_us,
        to_us=window.to_us,
        lookback_us=0,
        columns=("ingest_time", "delivery_key", rest.name),
        descending=True,
        limit=window.rows,
        candidates=window.rows,
    )
    for row in (await runner.rows(query)).rows:
        value = row[rest.name]
        observed.add(None if value is None else msgspec.json.decode(value))
    return observed


class _Page(msgspec.Struct):
    records: list[dict[str, Any]]
    next_cursor: str | None = None


class _Undeclared(msgspec.Struct):
    seen: list[SeenMember] | None = None
    others: int = 0


class _Entry(msgspec.Struct):
    name: str
    undeclared_members: _Undeclared


class _Schema(msgspec.Struct):
    tables: list[_Entry]


class _Service:
    """Reads rests, and the members that an instance has seen, from a service."""

    def __init__(self, url: str, token: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise SuggestError(f"--url {url}: expected an http:// or https:// address")
        self._url, self._headers = url.rstrip("/"), {"Authorization": f"Bearer {token}"} if token else {}

    def suggestions(self, table: Table, options: argparse.Namespace) -> str:
        """Return the suggestions for `table`.

        Raises:
            SuggestError: the service does not answer, or has no such stream.
        """
        below = f"/v1/streams/{options.stream}" if options.stream else "/v1"
        suggestion = ""
        if table.rest is not None:
            observed = self._observe(table, f"{below}/records", table.rest.name, options)
            suggestion = suggestion_text(table, observed, since=options.since)
        schema = self._get(f"{below}/schema", _Schema)
        seen = next((each.undeclared_members for each in schema.tables if each.name == table.name), _Undeclared())
        if seen.seen is None:
            return suggestion + "\n# The service shows seen members only to callers who may read every record.\n"
        return (suggestion + seen_text(seen.seen, seen.others)).lstrip("\n")

    def _observe(self, table: Table, path: str, name: str, options: argparse.Namespace) -> Observation:
        observed = Observation(table)
        window = {"since": options.since, "order": "desc", "fields": name, "freshness": "latest"}
        parameters = window | {"limit": str(min(_PAGE, options.rows))}
        while True:
            page = self._get(f"{path}?{urllib.parse.urlencode(parameters)}", _Page)
            for record in page.records[: options.rows - observed.examined]:
                observed.add(record[name])
            if page.next_cursor is None or observed.examined >= options.rows:
                return observed
            parameters["cursor"] = page.next_cursor
            parameters.pop("since", None)

    def _get(self, path: str, type_: type[_Answer]) -> _Answer:
        request = urllib.request.Request(self._url + path, headers=self._headers)  # noqa: S310 - the scheme is checked
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - likewise
                return msgspec.json.decode(response.read(), type=type_)
        except urllib.error.HTTPError as error:
            with error:
                body = error.read(500).decode(errors="replace")
            raise SuggestError(f"{self._url}{path.partition('?')[0]} answered {error.code}: {body}") from error
        except (OSError, msgspec.DecodeError) as error:
            raise SuggestError(f"{self._url} does not answer as the service does: {error}") from error
