"""An answer that is sent while it is made: piece by piece, as fast as its client reads.

What breaks off must not look complete. The body is sent without a length (HTTP/1.1: chunked), and one that fails is
left without its last, empty piece: the server then closes the connection instead of ending the body, and clients
raise (curl: 18, httpx: RemoteProtocolError).
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from app.errors import ProblemError
from app.query.reads import Reads
from app.query.runner import QueryError

SENT_BYTES = 262_144  # at once: the client has `_STALL_S` to read so much
_STALL_S = 60.0
_log = logging.getLogger("sluice.query")


class _StalledError(Exception):
    pass


class LargeAnswers:
    """Sends bodies that are ready but large, at the pace of their clients, and holds no more than `max_bytes` of them.

    Handed over whole, each would be kept for as long as its client likes.
    """

    def __init__(self, reads: Reads, max_bytes: int) -> None:
        self._reads, self._free_bytes = reads, max_bytes

    async def response(self, body: bytes, media_type: str, headers: Mapping[str, str]) -> Response[bytes]:
        """Return what sends `body`.

        Raises:
            ProblemError: `busy`: too many such answers wait for their clients to read them.
        """
        pieces = self._pieces(body)
        stated = {**headers, "Content-Length": str(len(body))}
        return StreamedResponse(self._reads, stated, media_type, (await anext(pieces), pieces))

    async def _pieces(self, body: bytes) -> AsyncGenerator[bytes, None]:
        if len(body) > self._free_bytes:
            detail = "large answers are being read slowly, and no more can be held; try again, with a smaller `limit`"
            raise ProblemError("busy", detail, members={"retry_after_s": 5}, headers={"Retry-After": "5"})
        self._free_bytes -= len(body)
        try:
            for start in range(0, len(body), SENT_BYTES):
                yield body[start : start + SENT_BYTES]
        finally:
            self._free_bytes += len(body)


class StreamedResponse(Response[bytes]):
    """Sends `first`, then `rest`; without a body to a HEAD. It ends when its client goes, or the service stops."""

    def __init__(
        self,
        reads: Reads,
        headers: Mapping[str, str],
        media_type: str,
        pieces: tuple[bytes, AsyncGenerator[bytes, None]] | None,
        *,
        stall_s: float = _STALL_S,
    ) -> None:
        super().__init__(b"", headers={**headers, "Content-Type": media_type}, media_type=media_type)
        self._reads, self._pieces, self._stall_s = reads, pieces, stall_s

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **options: Any) -> ASGIResponse:
        """Return what sends it."""
        headers = {**(options.get("headers") or {}), **self.headers}
        cookies = itertools.chain(self.cookies, options.get("cookies") or ())
        started = _Started(headers=headers, cookies=cookies, media_type=self.media_type, status_code=200)
        started.sending = None if self._pieces is None else _Sending(request, self._reads, self._pieces, self._stall_s)
        return started


class _Started(ASGIResponse):
    _should_set_content_length = False
    sending: "_Sending | None" = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.sending is not None:
            await self.sending(self, send)
        else:
            await self.start_response(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        await self.after_response()


class _Sending:
    def __init__(
        self,
        request: Request[Any, Any, Any],
        reads: Reads,
        pieces: tuple[bytes, AsyncGenerator[bytes, None]],
        stall_s: float,
    ) -> None:
        self._request, self._reads, self._stall_s = request, reads, stall_s
        self._first, self._rest = pieces
        self._sent_bytes = 0

    async def __call__(self, response: ASGIResponse, send: Send) -> None:
        try:
            await self._reads.stream(self._request, self._send_all(response, send))
        finally:
            await self._rest.aclose()

    async def _send_all(self, response: ASGIResponse, send: Send) -> None:
        path = self._request.scope.get("path_template") or "an answer"  # the route: a path may hold a record's id
        try:
            await response.start_response(send)
            await self._send(self._first, send)
            async for piece in self._rest:
                await self._send(piece, send)
        except QueryError as error:
            _log.warning("%s broke off after %d bytes: %s", path, self._sent_bytes, error)
        except _StalledError:
            told = "%s was broken off after %d bytes: its client had read nothing for %g s"
            _log.warning(told, path, self._sent_bytes, self._stall_s)
        except Exception as error:  # a defect; its text may hold SQL from the second line on
            reason = str(error).partition("\n")[0]
            _log.error("%s broke off after %d bytes: %s: %s", path, self._sent_bytes, type(error).__name__, reason)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, piece: bytes, send: Send) -> None:
        for start in range(0, len(piece), SENT_BYTES):
            part = piece[start : start + SENT_BYTES]
            try:
                async with asyncio.timeout(self._stall_s):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except TimeoutError:
                raise _StalledError from None
            self._sent_bytes += len(part)
