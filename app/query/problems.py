"""Turn a failed query into a problem for the caller.

A problem contains neither SQL nor the store's own messages, which name projects, tables and accounts. Those are logged.
"""

import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.http.problems import ProblemError
from app.stores.source import (
    LookUpTooExpensiveError,
    QueryError,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
)

# After a quota error BigQuery advises to wait a few seconds; an outage, or a missing table, lasts longer.
_BUSY_RETRY_S = 5
_UNAVAILABLE_RETRY_S = 30
_Result = TypeVar("_Result")
_log = logging.getLogger("sluice.query")


async def answered(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the result of `work`.

    Raises:
        ProblemError: `work` raised a QueryError, which is logged.
    """
    try:
        return await work
    except QueryError as error:
        _log.warning("a query failed: %s", error)
        raise problem_of(error) from error


def problem_of(error: QueryError) -> ProblemError:
    """Return the problem for a failed query."""
    match error:
        case LookUpTooExpensiveError(limit_bytes=limit_bytes, found=found):
            missed = "not every version of the record was found" if found else "the record was not found"
            detail = f"{missed} within the read limit of one look-up, {limit_bytes} bytes"
            return ProblemError("look_up_too_expensive", detail, members={"limit_bytes": limit_bytes})
        case QueryTooExpensiveError():
            return _too_expensive(error)
        case QueryTimeoutError(timeout_s=timeout_s):
            detail = f"the query timed out after {timeout_s:g} seconds"
            return ProblemError("query_timeout", detail, members={"timeout_s": timeout_s})
        case StoreBusyError():
            detail = f"the store is overloaded; try again in {_BUSY_RETRY_S} seconds"
            return _later("store_busy", detail, _BUSY_RETRY_S)
        case _:
            detail = f"the store is unavailable; try again in {_UNAVAILABLE_RETRY_S} seconds"
            return _later("store_unavailable", detail, _UNAVAILABLE_RETRY_S)


def _too_expensive(error: QueryTooExpensiveError) -> ProblemError:
    limit = error.limit_bytes
    if error.needed_bytes is None:
        detail = f"the query would read more than the limit of {limit} bytes"
        return ProblemError("query_too_expensive", detail, members={"limit_bytes": limit})
    detail = f"the query would read {error.needed_bytes} bytes; the limit is {limit}"
    members = {"limit_bytes": limit, "needed_bytes": error.needed_bytes}
    return ProblemError("query_too_expensive", detail, members=members)


def _later(code: str, detail: str, retry_s: int) -> ProblemError:
    return ProblemError(code, detail, members={"retry_after_s": retry_s}, headers={"Retry-After": str(retry_s)})
