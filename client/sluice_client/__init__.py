"""A client of Sluice: read its feed, and load it exactly once into a store of your own.

    with Client("https://sluice.example", token=KEY) as client:
        for record in client.walk("-PT1H"): ...
        client.follow_into("orders.duckdb")

client, async_client    `Client` and `AsyncClient`: walk, state, follow, tail, export, publish
protocol                what is sent, and what an answer means; without input and output
connection              performs what a protocol asks for
cursors                 where a follower keeps its cursor
loading, sinks          following into SQLite, DuckDB, Postgres or Parquet: all versions, or the latest
files                   a file that appears when it is complete
errors                  what a caller may catch
follow_command          `sluice-client follow URL --into TARGET`
progress                its progress, as a line
mcp                     the API as tools for agents: `sluice-client mcp URL`
token_option            the key or token of a command
"""

from sluice_client.async_client import AsyncClient
from sluice_client.client import Client
from sluice_client.cursors import CursorStore, FileCursor, SqliteCursor
from sluice_client.errors import (
    CursorStoreError,
    ProblemError,
    ResponseError,
    SluiceError,
    TargetError,
    UnreachableError,
)
from sluice_client.loading import Progress
from sluice_client.protocol.pages import Page
from sluice_client.protocol.publishing import Published
from sluice_client.protocol.requests import Feed
from sluice_client.protocol.retry import FOREVER, RetryPolicy
from sluice_client.protocol.tails import TailRecord

__all__ = [
    "FOREVER",
    "AsyncClient",
    "Client",
    "CursorStore",
    "CursorStoreError",
    "Feed",
    "FileCursor",
    "Page",
    "ProblemError",
    "Progress",
    "Published",
    "ResponseError",
    "RetryPolicy",
    "SluiceError",
    "SqliteCursor",
    "TailRecord",
    "TargetError",
    "UnreachableError",
]
