"""The statements of a table and of the state beside it, in the SQL that SQLite, DuckDB and Postgres share."""

from collections.abc import Mapping, Sequence

from sluice_client.protocol.schema import INGESTED, KEY, Column, Roles

STATE = "sluice_follow"
"""The table of the state: for each table its feed, its columns and its cursor."""


def quoted(name: str) -> str:
    """Return an identifier."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def create_state() -> str:
    """Return the statement that makes the table of the state."""
    members = "table_name TEXT PRIMARY KEY, feed TEXT NOT NULL, columns TEXT NOT NULL, cursor TEXT NOT NULL"
    return f"CREATE TABLE IF NOT EXISTS {STATE} ({members})"


def create_table(table: str, columns: Sequence[Column], types: Mapping[str, str], key: str) -> str:
    """Return the statement that makes the table, whose rows are identified by the column `key`."""
    members = ", ".join(_declared(column, types) + (" PRIMARY KEY" if column.path == key else "") for column in columns)
    return f"CREATE TABLE {quoted(table)} ({members})"


def add_column(table: str, column: Column, types: Mapping[str, str]) -> str:
    """Return the statement that adds a column."""
    return f"ALTER TABLE {quoted(table)} ADD COLUMN {_declared(column, types)}"


def insert(table: str, columns: Sequence[Column], source: str) -> str:
    """Return the statement that stores rows of `source`, except those whose key is there."""
    names = ", ".join(quoted(column.path) for column in columns)
    # Only the key may conflict. OR IGNORE would also drop rows that break another constraint.
    return f"INSERT INTO {quoted(table)} ({names}) {source} ON CONFLICT ({quoted(KEY)}) DO NOTHING"


def upsert(table: str, columns: Sequence[Column], source: str, roles: Roles) -> str:
    """Return the statement that stores rows of `source`, each unless there is a later version of its id."""
    names = [quoted(column.path) for column in columns]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != quoted(roles.id))
    kinds = {column.path: column.kind for column in columns}
    new, old = (_rank(row, roles, kinds) for row in ("excluded", quoted(table)))
    return (
        f"INSERT INTO {quoted(table)} ({', '.join(names)}) {source} "
        f"ON CONFLICT ({quoted(roles.id)}) DO UPDATE SET {changes} WHERE {new} >= {old}"
    )


def _rank(row: str, roles: Roles, kinds: Mapping[str, str]) -> str:
    """Return what the versions of an id are ordered by; a sequence of null is less than any."""
    ingested = f"{row}.{quoted(INGESTED)}"
    if roles.sequence is None:
        return ingested
    sequence = f"{row}.{quoted(roles.sequence)}"
    anything = ingested if kinds[roles.sequence] == "TIMESTAMP" else "0"
    return f"({sequence} IS NOT NULL, COALESCE({sequence}, {anything}), {ingested})"


def find_digests(table: str, roles: Roles, digest: str, count: int) -> str:
    """Return the query for the ids whose digest is one of `count` parameters; `digest` computes that of `{}`."""
    name = quoted(roles.id)
    return f"SELECT {name} FROM {quoted(table)} WHERE {digest.format(name)} IN ({', '.join('?' * count)})"


def erase(table: str, roles: Roles, types: Mapping[str, str]) -> str:
    """Return the statement that deletes the version of an id, unless it is later than an `ingest_time`."""
    until = f"CAST(? AS {types['TIMESTAMP']})"
    return f"DELETE FROM {quoted(table)} WHERE {quoted(roles.id)} = ? AND {quoted(INGESTED)} <= {until}"


def _declared(column: Column, types: Mapping[str, str]) -> str:
    return f"{quoted(column.path)} {types[column.kind]}"
