"""Look a record up by its id in two steps: at which instants it has rows, then those rows.

Tables are clustered by time, so a condition on the id excludes no blocks, unless a search index knows in which it is
(https://cloud.google.com/bigquery/docs/search-index). The first step reads two narrow columns of the range, or the
blocks that the index names; the second all columns of the blocks at a few instants. Of rows that are not indexed yet,
the first reads the same two columns, so it costs little there too.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec

from app.runtime.instants import epoch_us
from app.stores.query import LookUp
from app.stores.source import Answer, Row
from app.stores.sql.statement import MOST_INSTANTS, Statement, render_instants, render_look_up

Read = Callable[[Statement], Awaitable[Answer]]
_FEW = 100  # instants, each with a block of its own, which has tens of megabytes


async def look_up(read: Read, query: LookUp, source: str, *, is_indexed: bool) -> Answer:
    """Return the rows of `query`, which `read` reads from `source` ("": the table itself).

    `is_indexed`: a search index finds the id, so the first step costs far less than BigQuery estimates.

    Raises:
        QueryError: the store gave no answer.
    """
    answer = await read(render_instants(query, is_cheap=is_indexed))
    billed = answer.bytes_processed or 0
    instants = [epoch_us(row["ingest_time"]) for row in answer.rows]
    if len(instants) > MOST_INSTANTS:  # an id of more rows than can be named
        rest = await read(render_look_up(query, source))
        return Answer(rest.rows, billed + (rest.bytes_processed or 0))
    rows: list[Row] = []
    for some in _groups(instants, query.lookback_us):
        if some[0] < query.within.from_us:  # only the look-back has rows
            break
        left = msgspec.structs.replace(query, limit=query.limit - len(rows))
        part = await read(render_look_up(left, source, some, is_cheap=len(some) <= _FEW))
        billed += part.bytes_processed or 0
        rows += part.rows
        if len(rows) == query.limit:
            break
    return Answer(rows, billed)


def _groups(instants: Sequence[int], lookback_us: int) -> Iterator[Sequence[int]]:
    """Yield the instants, newest first: those that may be copies of one delivery, then all the others.

    No row of the second group is within the look-back of one in the first.
    """
    end = next(
        (place for place in range(1, len(instants)) if instants[place - 1] - instants[place] > lookback_us),
        len(instants),
    )
    yield from (group for group in (instants[:end], instants[end:]) if group)
