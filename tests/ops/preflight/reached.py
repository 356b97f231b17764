"""Print the lines of functions in app/stores/sql that rendering every statement does not reach.

A process of its own, as it traces itself, which would end the measurement of the tests' coverage.
"""

import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from app.schema.table import records_table, rejects_table
from app.stores.query import Deletion, LookUp
from app.stores.sql import conditions, look_ups, rows, statement, stats
from app.stores.sql.statement import render, render_instants, render_look_up
from sluice.local.flights.record import Flight
from sluice.ops.preflight.statements import every_query
from tests.contract.every import EVERY

_MODULES = (conditions, look_ups, rows, statement, stats)
# `Statement.plan` shows a statement to people; the last cases of the matches cannot be reached.
_LEFT_OUT = {"plan", "_shown"}


def lines_of(code: CodeType) -> Iterator[int]:
    """Yield the lines of a function's body, and of those inside it."""
    if code.co_name not in _LEFT_OUT:
        yield from (line for _, _, line in code.co_lines() if line and line > code.co_firstlineno)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from lines_of(constant)


def missed() -> list[str]:
    """Return the lines that are not reached, as `file:line: text`."""
    reached = set[tuple[str, int]]()

    def trace(frame: FrameType, _: str, __: Any) -> Any:
        reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    # A field of every kind to filter by, and fields to aggregate and to group by.
    queries = [*every_query(EVERY, rejects_table()), *every_query(records_table(Flight), rejects_table())]
    sys.settrace(trace)
    for query in queries:
        render(query)
        if isinstance(query, Deletion):  # of a table that lacks a column which the conditions name
            render(query, "(SELECT target.`id`)")
        if isinstance(query, LookUp):
            render_instants(query, is_cheap=True)
            render_look_up(query, instants=[2, 1])
        for copies in ("", "copies"):  # only the embedded store knows them, and its own tests run these
            render(query, copies=copies)
    sys.settrace(None)
    found = []
    for module in _MODULES:
        path = str(module.__file__)
        source = inspect.getsource(module).splitlines()
        functions = [
            each for _, each in inspect.getmembers(module, inspect.isfunction) if each.__module__ == module.__name__
        ]
        lines = {line for function in functions for line in lines_of(function.__code__)}
        for line in sorted(lines):
            text = source[line - 1].strip()
            if (path, line) not in reached and text not in {"case _:", "assert_never(query)"}:
                found.append(f"{path}:{line}: {text}")
    return found


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in missed()))
