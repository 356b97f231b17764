"""The service as a process, over a store that acknowledges each append after a fixed time and keeps nothing.

So the whole way of a push is the service's own, and nothing but the service is measured: `python -m
bench.telemetry.service --port 8080 --ack-ms 20`; other settings come from the environment, as for `python -m app`.
"""

import argparse
import os

import uvloop

from app.main import create_app
from app.runtime.clock import SystemClock
from app.schema.table import Table
from app.server import serve
from app.settings.load import load_settings
from app.stores.sink import Appender
from app.telemetry.logs import configure_logging
from sluice.testing.null_store.appender import NullAppender


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry.service", description=__doc__)
    parser.add_argument("--port", required=True)
    parser.add_argument("--ack-ms", type=float, default=20.0)
    options = parser.parse_args()
    configure_logging()
    clock = SystemClock()
    settings = load_settings({**os.environ, "SLUICE_PORT": options.port})

    def wrap(_: Table, appender: Appender) -> Appender:
        return NullAppender(appender, clock, options.ack_ms / 1_000)

    uvloop.run(serve(create_app(settings, clock=clock, wrap_appender=wrap), settings.server))


if __name__ == "__main__":
    main()
