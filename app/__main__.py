"""Run the service: `python -m app`. Settings come from the environment (docs/settings.md)."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping

import uvloop
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from app.embedded import StoreError
from app.main import Sluice, create_app
from app.record import RecordTypeError
from app.settings import Settings, SettingsError, load_settings
from app.telemetry import configure_logging

_log = logging.getLogger("sluice")
_BACKLOG = 2048


async def _serve(app: Sluice, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then drain, and stop."""
    server = Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        backlog=_BACKLOG,
        websockets=False,
        log_enabled=False,
        http1_settings=HTTP1Settings(keep_alive=True),
    )
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(asked_to_stop.wait())
    _log.info("listening on http://%s:%d", settings.host, settings.port)
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        _log.info("stopping: admitting nothing more, answering what was admitted")
        await app.drain(settings.shutdown_grace_s)
        server.stop()
    stopping.cancel()
    await serving
    _log.info("stopped")


def main(environ: Mapping[str, str]) -> int:
    """Run the service until it is told to stop; return the exit status."""
    configure_logging()
    try:
        settings = load_settings(environ)
        app = create_app(settings)
    except (SettingsError, RecordTypeError, StoreError) as error:
        _log.error("cannot start: %s", error)
        return 2
    uvloop.run(_serve(app, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
