"""Run the service: `python -m app`. Settings come from the environment (docs/settings.md)."""

import gc
import os

gc.disable()  # the start makes objects that stay, and a search for cycles among them an eighth of it; see app.footprint
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:1000,muzzy_decay_ms:0")  # before the server is loaded

import logging
import sys
from collections.abc import Mapping
from typing import NoReturn

import uvloop

from app.backend import StoreError
from app.main import create_app
from app.record import RecordTypeError
from app.serve import ListenError, serve
from app.settings import SettingsError, load_settings
from app.telemetry.logs import configure_logging, end_logging
from app.telemetry.redaction import NamesOnly

_log = logging.getLogger("sluice")


def main(environ: Mapping[str, str]) -> int:
    """Run the service until it is told to stop; return the exit status: 2 when it cannot start, 1 when it failed."""
    configure_logging()
    try:
        settings = load_settings(environ)
        configure_logging(project=settings.project, labels={"system": settings.system})
        app = create_app(settings)
        configure_logging(project=settings.project, labels={"system": settings.system, "instance": app.instance})
        uvloop.run(serve(app, settings))
    except (SettingsError, RecordTypeError, StoreError, ListenError) as error:
        _log.critical("cannot start: %s", NamesOnly(error))  # about settings and declarations: no record is there yet
        return 2
    except Exception:
        _log.critical("ended by an unexpected failure", exc_info=True)
        return 1
    return 0


def _leave(status: int) -> NoReturn:
    """End the process, whatever threads there are: one may wait for a store, and nobody waits for it any more."""
    end_logging()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _leave(main(os.environ))
