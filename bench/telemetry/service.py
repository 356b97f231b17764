"""The service as a process, over a store that acknowledges each append after a fixed time and keeps nothing.

So the whole way of a push is the service's own, and nothing but the service is measured: `python -m
bench.telemetry.service --port 8080 --ack-ms 20`; other settings come from the environment, as for `python -m app`.
"""

import argparse
import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import uvloop

from app.main import create_app
from app.schema.table import Table
from app.server import serve
from app.settings.load import load_settings
from app.stores.sink import Appender, Outcome, RowEncode, SetupError, Stored
from app.telemetry.logs import configure_logging


class Acknowledging:
    """An Appender whose store takes `ack_s` seconds for every append."""

    max_in_flight = target_in_flight = 4
    fence = None

    def __init__(self, appender: Appender, ack_s: float) -> None:
        self._appender, self._ack_s = appender, ack_s

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return what makes rows, as the store behind would have them."""
        return self._appender.encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Acknowledge `rows` in time."""
        await asyncio.sleep(self._ack_s)
        return Stored()

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row`: none is late."""
        return row

    async def check(self) -> SetupError | None:
        """Find nothing in the way."""
        return None

    async def close(self) -> None:
        """Let go of the store behind."""
        await self._appender.close()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry.service", description=__doc__)
    parser.add_argument("--port", required=True)
    parser.add_argument("--ack-ms", type=float, default=20.0)
    options = parser.parse_args()
    configure_logging()
    settings = load_settings({**os.environ, "SLUICE_PORT": options.port})

    def wrap(_: Table, appender: Appender) -> Appender:
        return Acknowledging(appender, options.ack_ms / 1_000)

    uvloop.run(serve(create_app(settings, wrap_appender=wrap), settings.server))


if __name__ == "__main__":
    main()
