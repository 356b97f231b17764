"""Send answers as fast as their clients read, and hold no more of them than a ledger allows.

The server (Granian) copies whatever it is given. An answer that is passed on whole stays in memory until its client has
read it or disconnects, so clients that read nothing could use unlimited memory with small requests. An answer that is
passed on in pieces waits in Python, where it shares its bytes with the cache or the file they come from.

There are two ledgers (`app.runtime.ledger`): `answers` has a share for each known caller, and `documents` one for each
address that requests something public. A flood of the latter does not affect the former.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from litestar.types import ASGIApp

from app.http.cut_responses import STOPPING, cut_short
from app.http.load_shedding import Peer
from app.http.problems import ProblemError, send_problem
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.ledger import Holding, Ledger
from app.settings.server import ServerSettings

PIECE_BYTES = 32_768
"""The size of a piece, and of the largest answer that is passed on whole and not charged."""
MAX_HEAD_BYTES = 163_840
"""The server's buffer for each direction of a connection: the largest request head, and the most it writes ahead."""
IN_SERVER_BYTES = MAX_HEAD_BYTES + 6 * PIECE_BYTES
"""The most that the server holds of one answer: its buffer and one more piece, four queued, one in hand."""
_DOCUMENTS = 4  # their ledger is this fraction of the one for answers, and comes on top of it
_RETRY_S = 5
_LOOK_AGAIN_S = 0.05


class ClientStalledError(OSError):
    """The client read nothing for so long that its connection was closed."""


class Outgoing:
    """Sends answers in pieces; `cut` closes the connection of a client that reads nothing.

    The server does not detect such clients itself.
    """

    def __init__(self, settings: ServerSettings, clock: Clock, cut: Callable[[Peer], None] = lambda _: None) -> None:
        max_bytes = settings.max_large_answer_bytes
        self.answers = _ledger(max_bytes)
        self.documents = _ledger(max_bytes // _DOCUMENTS)
        self.stall_s, self.cut = settings.client_stall_s, cut
        self._clock = clock
        self._deliveries: set[_Delivery] = set()

    async def answer(self, app: ASGIApp, scope: Any, receive: Any, send: Any) -> None:
        """Have `app` answer a request, and pass on what it sends piece by piece."""
        delivery = _Delivery(self, scope, send)
        self._deliveries.add(delivery)
        try:
            await app(scope, receive, delivery.send)
        except Exception:
            if not delivery.is_cut:  # else a framework wraps the error that ended it
                raise
        finally:
            self._deliveries.discard(delivery)
            delivery.close()

    async def drain(self, grace_s: float) -> None:
        """Wait at most `grace_s` seconds until no answer waits for its client; then abort the rest."""
        until_us = self._clock.elapsed_us() + round(grace_s * MICROSECONDS)
        while any(each.is_sending for each in self._deliveries) and self._clock.elapsed_us() < until_us:
            await self._clock.sleep(_LOOK_AGAIN_S)
        for delivery in [*self._deliveries]:
            delivery.stop()

    def whose(self, scope: Any) -> tuple[Ledger, str]:
        """Return the ledger that an answer is charged to, and its caller."""
        principal = scope.get("state", {}).get("principal")
        if principal is not None:
            return self.answers, principal.name
        return self.documents, (scope.get("client") or ("unknown",))[0]


class _Delivery:
    """One answer that is being sent."""

    def __init__(self, outgoing: Outgoing, scope: Any, send: Any) -> None:
        self._outgoing, self._scope, self._send = outgoing, scope, send
        self._start: Any = None
        self._holding: Holding | None = None
        self._is_refused = self._is_stopped = self.is_cut = False
        self._waiting: asyncio.Timeout | None = None

    @property
    def is_sending(self) -> bool:
        """Whether a piece is waiting for the server to accept it."""
        return self._waiting is not None

    async def send(self, event: Any) -> None:
        """Send an ASGI event; the start is held back until the first piece shows whether there is room.

        Raises:
            ClientStalledError: the client read nothing, and its connection was closed.
        """
        if event["type"] == "http.response.start":
            self._start = event
            return
        if event["type"] != "http.response.body" or self._is_refused:
            return
        body, more = event.get("body", b""), event.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            if (more or len(body) > PIECE_BYTES) and not self._has_room(body, more=more):
                await self._refuse()
                return
            await self._send(start)
        if len(body) <= PIECE_BYTES and not more and self._holding is None:
            await self._send(event)
            return
        for begin in range(0, len(body) or 1, PIECE_BYTES):
            piece = bytes(body[begin : begin + PIECE_BYTES])
            await self._hand_over(piece, more=more or begin + PIECE_BYTES < len(body))

    def stop(self) -> None:
        """Abort the answer if a piece is waiting for the client."""
        if self._waiting is not None:
            self._is_stopped = True
            with suppress(RuntimeError):  # it has just ended
                self._waiting.reschedule(0)

    def close(self) -> None:
        """Release what the answer holds."""
        if self._holding is not None:
            self._holding.release()
            self._holding = None

    def _has_room(self, body: bytes, *, more: bool) -> bool:
        """Charge a large answer; return False if it does not fit."""
        ledger, caller = self._outgoing.whose(self._scope)
        in_server = IN_SERVER_BYTES if more else min(len(body), IN_SERVER_BYTES)
        # All readers of a document share one copy; any other answer may be its reader's own.
        charge = in_server + (0 if more or ledger is self._outgoing.documents else len(body))
        self._holding = ledger.hold(caller, charge)
        return self._holding is not None

    async def _refuse(self) -> None:
        self._is_refused = True
        detail = "too many large responses are waiting for slow clients; try again with a smaller `limit`"
        members, headers = {"retry_after_s": _RETRY_S}, {"Retry-After": str(_RETRY_S)}
        await send_problem(ProblemError("busy", detail, members=members, headers=headers), self._send)

    async def _hand_over(self, piece: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(self._outgoing.stall_s) as self._waiting:
                await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            self._break_off()
            raise ClientStalledError("the client stopped reading") from None
        finally:
            self._waiting = None

    def _break_off(self) -> None:
        self._is_refused = self.is_cut = True
        stalled = f"the client read nothing for {self._outgoing.stall_s:g} s"
        cut_short(self._scope, STOPPING if self._is_stopped else stalled)
        if self._scope.get("client"):
            host, port = self._scope["client"]
            self._outgoing.cut((host, str(port)))


def _ledger(max_bytes: int) -> Ledger:
    return Ledger(max_bytes=max_bytes, max_places=max(max_bytes // PIECE_BYTES, 1))
