"""The statements of a table and of the state beside it, in the SQL that SQLite, DuckDB and Postgres share."""

from collections.abc import Mapping, Sequence

from sluice_client.protocol.schema import KEY, Column

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


def create_table(table: str, columns: Sequence[Column], types: Mapping[str, str]) -> str:
    """Return the statement that makes the table; a record's key is the delivery's, which no two records share."""
    members = ", ".join(_declared(column, types) + (" PRIMARY KEY" if column.path == KEY else "") for column in columns)
    return f"CREATE TABLE {quoted(table)} ({members})"


def add_column(table: str, column: Column, types: Mapping[str, str]) -> str:
    """Return the statement that adds a column."""
    return f"ALTER TABLE {quoted(table)} ADD COLUMN {_declared(column, types)}"


def insert(table: str, columns: Sequence[Column], source: str) -> str:
    """Return the statement that stores rows of `source`, except those whose key is there."""
    names = ", ".join(quoted(column.path) for column in columns)
    # Only the key may conflict. OR IGNORE would also drop rows that break another constraint.
    return f"INSERT INTO {quoted(table)} ({names}) {source} ON CONFLICT ({quoted(KEY)}) DO NOTHING"


def _declared(column: Column, types: Mapping[str, str]) -> str:
    return f"{quoted(column.path)} {types[column.kind]}"
