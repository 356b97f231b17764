"""Run the service: `python -m app`. Settings come from the environment (docs/settings.md); see also `--help`."""

import gc
import os

gc.disable()  # collecting among objects that all survive took an eighth of the start-up; see app.runtime.memory
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:1000,muzzy_decay_ms:0")  # before the server loads

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import uvloop

from app.main import create_app
from app.record import RecordTypeError
from app.runtime.memory import return_large_blocks
from app.server import ListenError, serve
from app.settings.load import Settings, SettingsError, load_settings
from app.stores.sink import StoreError
from app.telemetry.logs import QUOTES_NAMES, configure_logging
from app.version import VERSION

_log = logging.getLogger("sluice")
_ABOUT = """\
Run Sluice: accept records from Pub/Sub pushes and over HTTP, validate them against one declared type, store them, and
serve them as a feed. The process runs until it receives SIGTERM or SIGINT."""
_MORE = """\
configuration:
  Settings are environment variables that begin with SLUICE_. Without any, the service listens on 127.0.0.1:8080
  and stores in data/sluice.duckdb. An unknown SLUICE_ variable is an error.
  docs/settings.md lists every setting with its default, and `sluice settings` prints that list.

exit status:
  0  stopped by SIGTERM or SIGINT
  1  ended by an unexpected failure; the log has the details
  2  cannot start: the command line, a setting, the record type, the store or the address is not valid"""


def read_command_line(arguments: Sequence[str]) -> None:
    """Handle `--help` and `--version`; exit with status 2 for anything else, since settings are not arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sluice {VERSION}")
    parser.parse_args(arguments)


def main(environ: Mapping[str, str], load: Callable[[Mapping[str, str]], Settings] = load_settings) -> int:
    """Run the service until it is stopped; return the exit status: 2 if it cannot start, 1 if it failed."""
    return_large_blocks()
    configure_logging()
    try:
        settings = load(environ)
        configure_logging(project=settings.project, labels={"system": settings.telemetry.system})
        app = create_app(settings)
        configure_logging(
            project=settings.project, labels={"system": settings.telemetry.system, "instance": app.instance.name}
        )
        uvloop.run(serve(app, settings.server))
    except (SettingsError, RecordTypeError, StoreError, ListenError) as error:
        _log.critical("cannot start: %s", error, extra=QUOTES_NAMES)  # settings and declarations: no records yet
        return 2
    except Exception:
        _log.critical("the process ended with an unexpected failure", exc_info=True)
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """Exit without joining threads: one may be blocked on a store, and nothing depends on it any more."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    read_command_line(sys.argv[1:])
    leave(main(os.environ))
