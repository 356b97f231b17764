"""BigQuery's REST address, as far as `insert_rows_json` calls it: raw asyncio, as it shares a core with the load."""

import asyncio
import gzip
import re
from typing import cast

import msgspec

from sluice.testing.null_store.tally import Tally

_INSERT_ALL = re.compile(rb"POST /bigquery/v2/projects/[^/ ]+/datasets/[^/ ]+/tables/[^/ ]+/insertAll[? ]")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_GZIP = re.compile(rb"\r\ncontent-encoding: *gzip\r\n", re.IGNORECASE)
_DONE = b'{"kind":"bigquery#tableDataInsertAllResponse"}'


class _Row(msgspec.Struct):
    json: msgspec.Raw


class _Insert(msgspec.Struct):
    rows: list[_Row]


_decoder = msgspec.json.Decoder(_Insert)


def _response(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


_ACKNOWLEDGED = _response(b"200 OK", _DONE)


class NullRest(asyncio.Protocol):
    """A keep-alive connection of a client that waits for each answer before it asks again, as urllib3 does."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._loop = tally, asyncio.get_running_loop()
        self._buffer = bytearray()
        self._body_at = self._length = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer nothing more."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Collect a request, and answer it `ack_s` after its last byte."""
        self._buffer += data
        if not self._body_at:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._body_at = end + 4
            length = _LENGTH.search(self._buffer, 0, self._body_at)
            self._length = int(length[1]) if length else 0
        if len(self._buffer) >= self._body_at + self._length:
            head, body = bytes(self._buffer[: self._body_at]), bytes(self._buffer[self._body_at :])
            self._buffer.clear()
            self._body_at = 0
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if not _INSERT_ALL.match(head):
            self._send(_response(b"404 Not Found", b'{"error":{"code":404,"message":"only insertAll is here"}}'))
            return
        try:
            rows = len(_decoder.decode(gzip.decompress(body) if _GZIP.search(head) else body).rows)
        except (msgspec.MsgspecError, gzip.BadGzipFile, EOFError) as error:
            problem = {"error": {"code": 400, "message": f"not an insertAll request: {error}"}}
            self._send(_response(b"400 Bad Request", msgspec.json.encode(problem)))
            return
        self._loop.call_later(self._tally.ack_s, self._acknowledge, rows, len(body))

    def _acknowledge(self, rows: int, size: int) -> None:
        self._tally.add(rows, size)
        self._send(_ACKNOWLEDGED)

    def _send(self, response: bytes) -> None:
        if self._transport is not None:
            self._transport.write(response)
