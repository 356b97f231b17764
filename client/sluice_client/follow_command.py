"""The command `follow`: a feed into a target of your own, each record once, until Ctrl-C.

Other commands may mount it: `add_arguments` fills a parser, and `run` takes what it parsed.
"""

import argparse
import re
import signal
from types import FrameType
from typing import NoReturn

from sluice_client.client import WAIT_S, Client
from sluice_client.connection import OnRetry
from sluice_client.errors import CursorStoreError, ProblemError, SluiceError, TargetError
from sluice_client.progress import ProgressLine
from sluice_client.protocol.requests import Feed
from sluice_client.sinks.sink import FORMS
from sluice_client.token_option import TOKEN, add_token_option, token_of

USAGE_ERROR = 2
_INTERRUPTED = 130
_VALUE_WITH_DASH = re.compile(r"-P[\dT]")
_ADVICE = {
    "missing_token": f"Set {TOKEN}, or give --token-file.",
    "invalid_cursor": "The service does not accept the cursor in the target. If the problem above cannot be corrected, "
    "--rewind --since TIME reads again from there; records that are stored stay single. With --state, --rewind alone "
    "empties the table and reads the state again.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser._negative_number_matcher = _VALUE_WITH_DASH  # noqa: SLF001 - it has no public name, and `--since -P7D` needs it
    parser.description = "Follow a feed into a store of your own. It may be killed and started again at any moment."
    parser.add_argument("url", help="of the service, such as https://sluice.example")
    parser.add_argument("--into", required=True, metavar="TARGET", help=FORMS)
    parser.add_argument("--stream", default="", help="the stream; the default one if it is not given")
    parser.add_argument(
        "--state", action="store_true", help="keep only the latest version of each record, also if it is deleted"
    )
    parser.add_argument("--rejects", action="store_true", help="follow the rejected records")
    parser.add_argument("--table", default="", help="the table; by default it has the name of the stream, or `records`")
    parser.add_argument(
        "--since", default="", help="where to begin if the target is new: a time, -P7D, now (default: an hour ago)"
    )
    parser.add_argument(
        "--where", action="append", default=[], metavar="FIELD=VALUE", help="a filter, also FIELD.OP=VALUE"
    )
    parser.add_argument("--fields", default="", metavar="A,B", help="only these fields, and the key")
    parser.add_argument("--once", action="store_true", help="end when there is nothing newer")
    parser.add_argument("--wait", type=int, default=WAIT_S, help="seconds that a request waits for a record (0 to 30)")
    parser.add_argument("--poll", type=float, default=0.0, help="seconds between requests while there is nothing newer")
    parser.add_argument(
        "--name", default="", help="of this reader, by which the service tells and alerts how far behind it is"
    )
    add_token_option(parser)
    parser.add_argument("--moved", action="store_true", help="the service has a new URL; continue there")
    parser.add_argument("--rewind", action="store_true", help="forget the cursor and read again from --since")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Follow until a signal, or once; return the exit status. A mistake is one line, without a traceback."""
    line = ProgressLine(is_quiet=options.quiet)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Client(options.url, token=token_of(options), name=options.name, on_retry=_teller(line)) as client:
            progress = client.follow_into(
                options.into,
                since=options.since,
                feed=Feed(options.stream, options.rejects, _filters(options.where)),
                table=options.table,
                fields=[field for field in options.fields.split(",") if field],
                wait_s=options.wait,
                poll_s=options.poll,
                until_caught_up=options.once,
                moved=options.moved,
                rewind=options.rewind,
                state=options.state,
                on_progress=line.show,
            )
    except KeyboardInterrupt:
        line.say("stopped; started again, it continues from here")
        return _INTERRUPTED
    except (SluiceError, ValueError, OSError) as error:
        line.say(f"error: {_explained(error)}")
        return USAGE_ERROR if _is_mistake(error) else 1
    line.end()
    if not options.quiet:
        line.say(f"{progress.stored:,} new records, up to {progress.up_to}")
    return 0


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _teller(line: ProgressLine) -> OnRetry:
    return lambda pause_s, reason: line.say(f"asking again in {pause_s:.1f} s: {reason}")


def _filters(texts: list[str]) -> dict[str, str]:
    filters = dict[str, str]()
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ValueError(f"--where {text}: write FIELD=VALUE")
        if name in filters:
            raise ValueError(f"--where {name} is given twice: the service accepts each filter once")
        filters[name] = value
    return filters


def _explained(error: Exception) -> str:
    advice = _ADVICE.get(error.problem.code, "") if isinstance(error, ProblemError) else ""
    return f"{error}\n{advice}".strip()


def _is_mistake(error: Exception) -> bool:
    """Whether other arguments would help."""
    return isinstance(error, (ProblemError, TargetError, CursorStoreError, ValueError, OSError))
