"""A streamed response: sent piece by piece while it is made, as fast as its client reads.

A truncated body must not look complete. The body is sent without a length (HTTP/1.1: chunked). If it fails, the last,
empty piece is not sent: the server then closes the connection instead of ending the body, and clients raise an error
(curl: 18, httpx: RemoteProtocolError).
"""

import itertools
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from app.http.outgoing import ClientStalledError
from app.query.reads import Reads
from app.stores.source import QueryError
from app.telemetry.redaction import first_line

_log = logging.getLogger("sluice.query")


class StreamedResponse(Response[bytes]):
    """Sends the first of `pieces`, then the rest; a HEAD gets no body.

    It ends when its client disconnects or the service stops.
    """

    def __init__(
        self,
        reads: Reads,
        headers: Mapping[str, str],
        media_type: str,
        pieces: tuple[bytes, AsyncGenerator[bytes, None]] | None,
    ) -> None:
        super().__init__(b"", headers={**headers, "Content-Type": media_type}, media_type=media_type)
        self._reads, self._pieces = reads, pieces

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **options: Any) -> ASGIResponse:
        """Return the ASGI response that sends the pieces."""
        headers = {**(options.get("headers") or {}), **self.headers}
        cookies = itertools.chain(self.cookies, options.get("cookies") or ())
        started = _Started(headers=headers, cookies=cookies, media_type=self.media_type, status_code=200)
        started.sending = None if self._pieces is None else _Sending(request, self._reads, self._pieces)
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
    ) -> None:
        self._request, self._reads = request, reads
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
            _log.warning("%s was aborted after %d bytes: %s", path, self._sent_bytes, error)
        except ClientStalledError:
            pass  # already logged, and the connection is closed
        except Exception as error:  # a defect; its text may hold SQL from the second line on
            reason = first_line(error)
            _log.error("%s was aborted after %d bytes: %s: %s", path, self._sent_bytes, type(error).__name__, reason)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, piece: bytes, send: Send) -> None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        self._sent_bytes += len(piece)
