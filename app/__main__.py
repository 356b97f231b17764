"""Run the service: `python -m app`. Settings come from the environment (docs/settings.md)."""

import logging
import os
import sys
from collections.abc import Mapping
from typing import NoReturn

import uvloop

from app.backend import StoreError
from app.main import create_app
from app.record import RecordTypeError
from app.serve import ListenError, serve
from app.settings import SettingsError, load_settings
from app.telemetry.logs import configure_logging

_log = logging.getLogger("sluice")


def main(environ: Mapping[str, str]) -> int:
    """Run the service until it is told to stop; return the exit status, 2 when it cannot start."""
    configure_logging()
    try:
        settings = load_settings(environ)
        uvloop.run(serve(create_app(settings), settings))
    except (SettingsError, RecordTypeError, StoreError, ListenError) as error:
        _log.critical("cannot start: %s", error)
        return 2
    return 0


def _leave(status: int) -> NoReturn:
    """End the process, whatever threads there are: one may wait for a store, and nobody waits for it any more."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _leave(main(os.environ))
