"""What a store provides, once it is open."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import msgspec

from app.schema.table import Table
from app.stores.eraser import Eraser
from app.stores.sink import Appender
from app.stores.source import QueryRunner


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """An open store, behind its seams. `appender` opens the Appender of a table, once; `close` is awaited last.

    `name` identifies the data: it is the same for all instances that share them. `system` is the kind of store, as
    traces name it. `connections` returns the number of open append connections by the table's name. `upkeep` returns
    the store's background tasks; its argument is called with a table's name and the number of expired rows deleted.
    """

    name: str
    system: str
    appender: Callable[[Table], Appender]
    runner: QueryRunner
    eraser: Eraser
    upkeep: Callable[[Callable[[str, int], None]], list[Coroutine[Any, Any, None]]]
    close: Callable[[], Awaitable[None]]
    connections: Callable[[], Mapping[str, int]]
