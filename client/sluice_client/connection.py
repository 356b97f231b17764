"""Running a protocol: each effect is performed, and its outcome sent back. Blocking, and asynchronous."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import httpx
import msgspec

from sluice_client.protocol.effects import Broken, Emit, Open, Outcome, Pause, R, Read, Reply, Request, Send, Steps, T

Token = str | Callable[[], str] | None
"""An API key or an ID token, or what returns one that is valid now: it is called for each request."""
OnRetry = Callable[[float, str], None]
"""Called before another attempt with the seconds of the pause and its reason."""
_CONNECT_S = 10.0
USER_AGENT = "sluice-client/0.1.0"


class Settings(msgspec.Struct, frozen=True):
    """How a client connects. `url` has no slash at its end; `name` is the reader's, by which `/v1/readers` lists it."""

    url: str
    token: Token = None
    on_retry: OnRetry | None = None
    name: str = ""

    def headers(self, request: Request) -> dict[str, str]:
        """Return the headers of a request."""
        token = self.token() if callable(self.token) else self.token
        if token and not (token.isascii() and token.isprintable()):
            raise ValueError("the token has a character that a header cannot carry")  # whose error would show the token
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        reader = {"Sluice-Reader": self.name} if self.name else {}
        return {"User-Agent": USER_AGENT, **request.headers, **reader, **authorization}

    def tell(self, pause: Pause) -> None:
        """Tell of a pause that something went wrong before."""
        if pause.reason and self.on_retry is not None:
            self.on_retry(pause.seconds, pause.reason)


_FAILURES = (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError)


def _built(http: httpx.Client | httpx.AsyncClient, settings: Settings, request: Request) -> httpx.Request:
    return http.build_request(
        request.method,
        request.path,
        params=request.params or None,
        headers=settings.headers(request),
        content=request.content,
        timeout=httpx.Timeout(request.read_timeout_s, connect=_CONNECT_S),
    )


def _broken(error: Exception, url: str, *, has_answered: bool) -> Broken:
    """Describe a failure. An unknown host is permanent only before the first response: later, the network is down."""
    causes = list[BaseException]()
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(each, socket.gaierror) for each in causes):
        return Broken(f"the host of {url} is unknown", is_permanent=not has_answered)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return Broken(f"the certificate of {url} is not valid: {error}", is_permanent=True)
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)):
        return Broken(f"{url} cannot be requested: {error}", is_permanent=True)
    return Broken(f"{url} did not answer: {str(error) or type(error).__name__}")


def _reply(response: httpx.Response, content: bytes) -> Reply:
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, content)


class Connection:
    """Runs protocols with blocking requests."""

    def __init__(
        self, settings: Settings, transport: httpx.BaseTransport | None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Open no connection yet."""
        self._settings, self._sleep = settings, sleep
        self._http = httpx.Client(base_url=settings.url, transport=transport)
        self._has_answered = False

    def run(self, steps: Steps[T, R], returned: Callable[[R], None] | None = None) -> Generator[T, None, None]:
        """Yield what the protocol emits, and hand what it returns to `returned`."""
        outcome: Outcome = None
        stream = _Stream()
        try:
            while True:
                try:
                    effect = steps.send(outcome)
                except StopIteration as end:
                    if returned is not None:
                        returned(end.value)
                    return
                outcome = None
                match effect:
                    case Emit(value):
                        yield value
                    case Pause():
                        self._settings.tell(effect)
                        self._sleep(effect.seconds)
                    case _:
                        outcome = self._attempt(effect, stream)
        finally:
            steps.close()
            stream.close()

    def value(self, steps: Steps[Any, R]) -> R:
        """Return what a protocol returns that emits nothing."""
        returned = list[R]()
        for _ in self.run(steps, returned.append):
            pass
        return returned[0]

    def _attempt(self, effect: Send | Open | Read, stream: "_Stream") -> Outcome:
        try:
            match effect:
                case Send(request):
                    response = self._http.send(self._request(request))
                    outcome: Outcome = _reply(response, response.content)
                case Open(request):
                    outcome = stream.open(self._http.send(self._request(request), stream=True))
                case Read():
                    outcome = next(stream.chunks, None)
        except _FAILURES as error:
            return _broken(error, self._settings.url, has_answered=self._has_answered)
        self._has_answered = True
        return outcome

    def _request(self, request: Request) -> httpx.Request:
        return _built(self._http, self._settings, request)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class _Stream:
    """The response that a protocol has opened."""

    def __init__(self) -> None:
        self.chunks: Iterator[bytes] = iter(())
        self._response: httpx.Response | None = None

    def open(self, response: httpx.Response) -> Reply:
        """Take the place of the response before; read all of a refusal."""
        self.close()
        self._response = response
        if not response.is_success:
            return _reply(response, response.read())
        self.chunks = response.iter_bytes()
        return _reply(response, b"")

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


class AsyncConnection:
    """Runs protocols with asynchronous requests."""

    def __init__(
        self,
        settings: Settings,
        transport: httpx.AsyncBaseTransport | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Open no connection yet."""
        self._settings, self._sleep = settings, sleep
        self._http = httpx.AsyncClient(base_url=settings.url, transport=transport)
        self._has_answered = False

    async def run(self, steps: Steps[T, R], returned: Callable[[R], None] | None = None) -> AsyncGenerator[T, None]:
        """Yield what the protocol emits, and hand what it returns to `returned`."""
        outcome: Outcome = None
        stream = _AsyncStream()
        try:
            while True:
                try:
                    effect = steps.send(outcome)
                except StopIteration as end:
                    if returned is not None:
                        returned(end.value)
                    return
                outcome = None
                match effect:
                    case Emit(value):
                        yield value
                    case Pause():
                        self._settings.tell(effect)
                        await self._sleep(effect.seconds)
                    case _:
                        outcome = await self._attempt(effect, stream)
        finally:
            steps.close()
            await stream.close()

    async def value(self, steps: Steps[Any, R]) -> R:
        """Return what a protocol returns that emits nothing."""
        returned = list[R]()
        async for _ in self.run(steps, returned.append):
            pass
        return returned[0]

    async def _attempt(self, effect: Send | Open | Read, stream: "_AsyncStream") -> Outcome:
        try:
            match effect:
                case Send(request):
                    response = await self._http.send(self._request(request))
                    outcome: Outcome = _reply(response, response.content)
                case Open(request):
                    outcome = await stream.open(await self._http.send(self._request(request), stream=True))
                case Read():
                    outcome = await stream.read()
        except _FAILURES as error:
            return _broken(error, self._settings.url, has_answered=self._has_answered)
        self._has_answered = True
        return outcome

    def _request(self, request: Request) -> httpx.Request:
        return _built(self._http, self._settings, request)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class _AsyncStream:
    """Likewise, asynchronous."""

    def __init__(self) -> None:
        self._chunks: AsyncIterator[bytes] | None = None
        self._response: httpx.Response | None = None

    async def open(self, response: httpx.Response) -> Reply:
        """Take the place of the response before; read all of a refusal."""
        await self.close()
        self._response = response
        if not response.is_success:
            return _reply(response, await response.aread())
        self._chunks = response.aiter_bytes()
        return _reply(response, b"")

    async def read(self) -> bytes | None:
        return None if self._chunks is None else await anext(self._chunks, None)

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
