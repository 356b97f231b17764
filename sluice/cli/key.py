"""Make an API key: `sluice key --name partner-a --scope read --into grants.json`; in the image, as a module."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from app.auth.grants import SCOPES, Grant, GrantRules, GrantsError, key_hash, new_key, with_entry
from app.query.request.filters import filter_check
from app.record import RecordTypeError
from app.settings.load import PREFIX, SettingsError, load_settings
from app.streams import load_streams

_READ = ("RECORD", "STREAMS", "API_PRINCIPALS", "PUSH_PRINCIPALS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Make an API key, print it, and add its entry, which has only the key's hash, to a file of grants "
        "(docs/access.md). A file that is missing is created; one with a wrong entry is refused."
    )
    parser.epilog = f"It reads these environment variables: {', '.join(PREFIX + name for name in _READ)}."
    parser.add_argument("--name", required=True, help="the name of the caller: a-z, 0-9, `.`, `_` and `-`")
    parser.add_argument(
        "--scope", required=True, action="append", choices=SCOPES, help="a scope; repeat it for several"
    )
    parser.add_argument("--stream", action="append", help="a stream that the key opens; repeat it (default: all)")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="limit the caller to matching records, written as in a query: source=a, country.in=NO,SE; repeat it",
    )
    parser.add_argument("--requests-per-minute", type=int, metavar="N", help="requests per minute; 0 means no limit")
    parser.add_argument("--expires", metavar="TIME", help="when the key expires, such as 2027-01-01T00:00:00Z")
    parser.add_argument("--into", required=True, metavar="FILE", type=Path, help="the file of grants")


def run(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> int:
    """Make a key; return the exit status."""
    try:
        key = new_key()
        _add(_entry(options, key), options.into, _rules(environ))
    except (SettingsError, RecordTypeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stderr.write(f"The API key of {options.name}; it is not shown again. Its entry is in {options.into}:\n\n")
    sys.stdout.write(f"{key}\n")
    return 0


def _entry(options: argparse.Namespace, key: str) -> Grant:
    if bad := next((each for each in options.filter if "=" not in each), ""):
        raise GrantsError(f"--filter {bad!r}: expected FIELD=VALUE, such as source=a")
    filters = dict(each.partition("=")[::2] for each in options.filter)
    if len(filters) != len(options.filter):
        raise GrantsError("--filter: give each field and operator once; list several values as FIELD.in=a,b")
    members = {
        "name": options.name,
        "key_sha256": key_hash(key),
        "scopes": options.scope,
        "filters": filters,
        "requests_per_minute": options.requests_per_minute,
        "expires": options.expires,
        "streams": options.stream,
    }
    try:
        return msgspec.convert({name: value for name, value in members.items() if value is not None}, Grant)
    except msgspec.ValidationError as error:
        raise GrantsError(f"{error}; expected a time such as --expires 2027-01-01T00:00:00Z") from None


def _rules(environ: Mapping[str, str]) -> GrantRules:
    """Return the rules for grants, reading only the settings they depend on; the others may be invalid."""
    names = {PREFIX + name for name in _READ}
    settings = load_settings({name: value for name, value in environ.items() if name in names})
    streams = load_streams(settings.store)
    return GrantRules(settings=settings.auth, streams=[*streams.by_name], check_filters=filter_check(streams))


def _add(entry: Grant, path: Path, rules: GrantRules) -> None:
    """Replace the file by one with the entry added; a service reading it meanwhile sees either the old or the new."""
    try:
        content = with_entry(path.read_bytes() if path.exists() else b'{"grants": []}', entry, rules)
        with TemporaryDirectory(dir=path.parent, prefix=".grants-") as folder:
            new = Path(folder, path.name)
            new.touch(0o600)  # readable by its owner only, unless an existing file says otherwise
            new.write_bytes(content)
            if path.exists():
                shutil.copymode(path, new)
            new.replace(path)
    except OSError as error:
        raise GrantsError(f"cannot write {path}: {error.strerror}") from None
    except GrantsError as error:
        raise GrantsError(f"{path}: {error}") from None


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m sluice.cli.key")
    add_arguments(arguments)
    sys.exit(run(arguments.parse_args()))
