"""A reader of exports in a process of its own, and the ceiling of what it reads: the store alone.

    python -m bench.query.export_client read ORDER   ask the service for an export, once, and count its rows
    python -m bench.query.export_client again ORDER  likewise, one export after the other, until killed
    python -m bench.query.export_client scan ORDER   have the store hand out these rows as Arrow, sorted and as they lie

ORDER is JSON. Prints JSON.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.query.keep_alive import stream
from bench.query.served import Served

_PIECE_BYTES = 256 * 1024


class Order(msgspec.Struct, frozen=True):
    """What to read: an export of a process, as `format`; or a window of a file."""

    served: Served | None = None
    target: str = ""
    format: str = ""
    kind: str = ""
    path: str = ""
    since_us: int = 0
    until_us: int = 0


def read(order: Order) -> dict[str, Any]:
    """Read an export to its end: rows, bytes, and seconds to the first byte and to the last."""
    if order.served is None:
        raise SystemExit("the order names no process")
    begun_s = time.perf_counter()
    answer = _Counted(stream(order.served, order.target, x_kind=order.kind))
    rows = _arrow_rows(answer) if order.format == "arrow" else _lines(answer)
    taken_s = time.perf_counter() - begun_s
    return {
        "rows": rows - (order.format == "csv"),  # the first line names the columns
        "bytes": answer.bytes,
        "s": round(taken_s, 4),
        "first_byte_s": round(answer.first_s - begun_s, 4),
    }


class _Counted:
    """An answer whose bytes are counted as they are read."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.bytes, self.first_s = 0, 0.0

    def readinto(self, buffer: Any) -> int:
        count: int = self._answer.readinto(buffer)
        self._take(count)
        return count

    def pieces(self) -> Iterator[bytes]:
        while piece := self._answer.read1(_PIECE_BYTES):
            self._take(len(piece))
            yield piece

    def _take(self, count: int) -> None:
        self.bytes += count
        self.first_s = self.first_s or time.perf_counter()


def _lines(answer: _Counted) -> int:
    # No text of these records holds a line break, so that a line is a row.
    return sum(piece.count(b"\n") for piece in answer.pieces())


def _arrow_rows(answer: _Counted) -> int:
    from nanoarrow.c_array_stream import c_array_stream  # type: ignore[import-untyped]  # noqa: PLC0415 - a second
    from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

    rows = sum(batch.length for batch in c_array_stream(InputStream.from_readable(answer)))
    for _ in answer.pieces():  # what follows the mark of the end
        pass
    return int(rows)


def scan(order: Order) -> dict[str, Any]:
    """Have the store hand out the rows of the window: as Arrow and as Python's objects, and as they lie or sorted."""
    import duckdb  # noqa: PLC0415 - the other reader is a client
    from nanoarrow.c_array_stream import c_array_stream  # noqa: PLC0415 - likewise

    sql = (
        "SELECT * FROM records WHERE ingest_time >= make_timestamp($since_us::BIGINT) "
        "AND ingest_time < make_timestamp($until_us::BIGINT)"
    )
    parameters = {"since_us": order.since_us, "until_us": order.until_us}
    found = {}
    with duckdb.connect(order.path, read_only=True) as connection:
        connection.execute("SELECT count(DISTINCT data::VARCHAR), max(attributes::VARCHAR) FROM records").fetchall()
        for name, text in {"as they lie": sql, "sorted": f"{sql} ORDER BY ingest_time, delivery_key"}.items():
            begun_s = time.perf_counter()
            rows = sum(batch.length for batch in c_array_stream(connection.sql(text, params=parameters)))
            found[name] = {"rows": rows, "s": round(time.perf_counter() - begun_s, 4)}
    return found


def main() -> None:
    """Do as the order says."""
    what, text = sys.argv[1:]
    order = msgspec.json.decode(text, type=Order)
    while what == "again":
        read(order)
    sys.stdout.write(msgspec.json.encode(scan(order) if what == "scan" else read(order)).decode() + "\n")


if __name__ == "__main__":
    main()
