"""The whole application in the test's own loop, with a fake clock and Appenders that a test can script."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from app.asgi import Sluice
from app.auth.signatures import canary_signature
from app.ingest.setup import IngestService
from app.main import create_app
from app.runtime.clock import Clock
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.sink import Appender
from sluice.testing import tokens
from sluice.testing.clock import FakeClock

SECRET = "what this deployment signs with"
SETTINGS = Settings().replace(
    data_path=":memory:",
    push_principals=(tokens.PUSHER,),
    push_audience=tokens.AUDIENCE,
    token_issuer=tokens.ISSUER,
    signing_secret=SECRET,
)
CANARY = {"sluice_heartbeat": "1", "sluice_signature": canary_signature(SECRET)}
"""The attributes of a canary, named for `Service.push`."""
GOOD = {"id": "a", "timestamp": "2026-01-31T12:00:00Z"}


class Service(msgspec.Struct):
    """A running application, a client of it, and its clock."""

    app: Sluice
    client: httpx.AsyncClient
    clock: Clock

    @property
    def ingest(self) -> IngestService:
        """The half that ingests."""
        assert self.app.instance.ingest is not None
        return self.app.instance.ingest

    async def push(self, *records: Any, message_id: str = "1", **attributes: str) -> httpx.Response:
        """Push one record, or several as an array, in one wrapped message."""
        body = msgspec.json.encode(records[0] if len(records) == 1 else records)
        return await self.push_bytes(body, message_id=message_id, **attributes)

    async def started(self) -> httpx.Response:
        """Return the answer of `/health/ready` once the service has checked its tables."""
        while (answer := await self.client.get("/health/ready")).json()["status"] == "starting":  # noqa: ASYNC110 - checks of tables run in threads
            await asyncio.sleep(0.01)
        return answer

    async def push_bytes(self, data: bytes, message_id: str = "1", **attributes: str) -> httpx.Response:
        """Push `data` in a wrapped message; attributes are named with `_` for `-`."""
        body = envelope(data, message_id, {name.replace("_", "-"): value for name, value in attributes.items()})
        return await self.client.post("/pubsub/push", content=body, headers=authorization())


def authorization(**changed: Any) -> dict[str, str]:
    """Return the header of a good push token, with claims changed."""
    return {"Authorization": f"Bearer {tokens.token(**changed)}"}


def envelope(data: bytes, message_id: str = "1", attributes: dict[str, str] | None = None) -> bytes:
    """Return the body of a wrapped push, as Pub/Sub sends it."""
    message: dict[str, Any] = {
        "data": base64.b64encode(data).decode(),
        "messageId": message_id,
        "message_id": message_id,
        "publishTime": "2026-01-31T12:00:00.123Z",
        "publish_time": "2026-01-31T12:00:00.123Z",
    }
    if attributes:
        message["attributes"] = attributes
    return msgspec.json.encode({"message": message, "subscription": "projects/p/subscriptions/s"})


@asynccontextmanager
async def running(
    settings: Settings = SETTINGS,
    clock: Clock | None = None,
    wrap_appender: Callable[[Table, Appender], Appender] = lambda _, appender: appender,
) -> AsyncIterator[Service]:
    """Run the application, its key set fetched, until the block ends."""
    clock = clock or FakeClock()
    app = create_app(settings, clock=clock, fetch_keys=tokens.fetch_keys, wrap_appender=wrap_appender)
    transport = httpx.ASGITransport(app=app)
    ending: asyncio.Task[None] | None = None
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        try:
            yield Service(app, client, clock)
        finally:
            if isinstance(clock, FakeClock):  # what a failed test left hanging must not hang its end
                ending = asyncio.create_task(_pass_time(clock))
    if ending is not None:
        ending.cancel()


_REAL_S = 0.005  # an ending that waits for a thread alone takes milliseconds: an hour must not pass meanwhile


async def _pass_time(clock: FakeClock) -> None:
    while True:
        await clock.advance(1)
        await asyncio.sleep(_REAL_S)
