"""Make an API key, or check a file of grants: `sluice keys new-key --name partner-a --scope read`."""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from app.auth.grants import (
    SCOPES,
    Grant,
    Granted,
    GrantRules,
    GrantsError,
    key_hash,
    make_grants,
    new_key,
    read_grants,
    with_entry,
)
from app.query.request.filters import filter_check
from app.record import RecordTypeError
from app.runtime.clock import MICROSECONDS
from app.settings.load import PREFIX, SettingsError, load_settings
from app.streams import load_streams

GOOD, WRONG = 0, 2
_READ = ("RECORD", "STREAMS", "API_PRINCIPALS", "PUSH_PRINCIPALS", "REQUESTS_PER_MINUTE")
_ENVIRONMENT = f"It reads these environment variables: {', '.join(PREFIX + name for name in _READ)}."


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Do what the arguments say; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.auth")
    add_arguments(parser)
    return run(parser.parse_args(arguments), environ)


def run(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> int:
    """Make a key or check a file; return the exit status."""
    try:
        rules = _rules(environ)
        return _new_key(options, rules) if options.keys_command == "new-key" else _check(options.file, rules)
    except (SettingsError, RecordTypeError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG


def _new_key(options: argparse.Namespace, rules: GrantRules) -> int:
    if len(dict(options.filter)) != len(options.filter):
        raise GrantsError("--filter: give each field and operator once; list several values as FIELD.in=a,b")
    key = new_key()
    members = {
        "name": options.name,
        "key_sha256": key_hash(key),
        "scopes": options.scope,
        "filters": dict(options.filter),
        "requests_per_minute": options.requests_per_minute,
        "expires": options.expires,
        "streams": options.stream or None,
    }
    try:
        entry = msgspec.convert({name: value for name, value in members.items() if value is not None}, Grant)
    except msgspec.ValidationError as error:
        raise GrantsError(f"{error}; expected a time such as --expires 2027-01-01T00:00:00Z") from None
    if options.into is None:
        make_grants([entry], rules)
    else:
        _add(entry, Path(options.into), rules)
    sys.stderr.write(f"The API key of {entry.name}. It is not shown again:\n\n")
    sys.stdout.write(f"{key}\n")
    if options.into is not None:
        sys.stderr.write(f"\nIts entry is in {options.into}; the entry holds only the key's hash.\n")
        return GOOD
    sys.stderr.write("\nThe entry for the file in SLUICE_GRANTS_FILE; it holds only the key's hash:\n\n")
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(entry)).decode() + "\n")
    return GOOD


def _add(entry: Grant, path: Path, rules: GrantRules) -> None:
    """Replace the file by one with the entry added; a service reading it meanwhile sees either the old or the new."""
    try:
        try:
            old = path.read_bytes()
        except FileNotFoundError:
            old = b'{"grants": []}'
        content = with_entry(old, entry, rules)
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


def _check(path: str, rules: GrantRules) -> int:
    try:
        grants = read_grants(Path(path).read_bytes(), rules)
    except OSError as error:
        raise GrantsError(f"cannot read {path}: {error.strerror}") from None
    except GrantsError as error:
        raise GrantsError(f"{path}: {error}") from None
    now_us = datetime.now(UTC).timestamp() * MICROSECONDS
    sys.stdout.write("".join(_line(granted, now_us) for granted in grants.all()) or "no caller may use /v1\n")
    return GOOD


def _line(granted: Granted, now_us: float) -> str:
    principal = granted.principal
    parts = [f"{principal.name}: {', '.join(scope for scope in SCOPES if scope in principal.scopes)}"]
    if principal.streams is not None:
        parts.append(f"streams {', '.join(sorted(principal.streams))}")
    if principal.filters:
        parts.append("only " + " and ".join(f"{name}={text}" for name, text in principal.filters))
    if not principal.hashed_filters:
        parts.append("no filters on hashed fields")
    limit = principal.requests_per_minute
    parts.append("no limit" if limit is None else f"{limit} requests per minute")
    if granted.expires_us is not None:
        expires = datetime.fromtimestamp(granted.expires_us / MICROSECONDS, UTC)
        parts.append(f"{'EXPIRED at' if granted.expires_us <= now_us else 'until'} {expires:%Y-%m-%dT%H:%M:%SZ}")
    return "; ".join(parts) + "\n"


def _rules(environ: Mapping[str, str]) -> GrantRules:
    """Return the rules for grants, reading only the settings they depend on; the others may be invalid."""
    names = {PREFIX + name for name in _READ}
    settings = load_settings({name: value for name, value in environ.items() if name in names})
    streams = load_streams(settings.store)
    return GrantRules(settings=settings.auth, streams=[*streams.by_name], check_filters=filter_check(streams))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two commands and their options."""
    parser.description, parser.epilog = "Manage who may use /v1 (docs/access.md).", _ENVIRONMENT
    commands = parser.add_subparsers(dest="keys_command", metavar="COMMAND", required=True)
    make = commands.add_parser("new-key", help="make an API key and the grant to add to the grants file")
    make.add_argument("--name", required=True, help="the name of the caller: a-z, 0-9, `.`, `_` and `-`")
    make.add_argument(
        "--stream",
        action="append",
        default=[],
        help="a stream that the key opens; repeat it (default: all)",
    )
    make.add_argument(
        "--scope", required=True, action="append", choices=SCOPES, help="a scope; repeat the option for several"
    )
    make.add_argument(
        "--filter",
        action="append",
        default=[],
        type=_filter,
        metavar="FIELD=VALUE",
        help="limit the caller to matching records, written as in a query: source=a, country.in=NO,SE; repeat "
        "for several",
    )
    make.add_argument("--requests-per-minute", type=int, metavar="N", help="requests per minute; 0 means no limit")
    make.add_argument("--expires", metavar="TIME", help="when the key expires, such as 2027-01-01T00:00:00Z")
    make.add_argument(
        "--into", metavar="FILE", help="add the entry to this grants file, and create the file if it is missing"
    )
    check = commands.add_parser(
        "check", help="check a grants file and print what each caller may do", epilog=_ENVIRONMENT
    )
    check.add_argument("file", help="the grants file, as in SLUICE_GRANTS_FILE")


def _filter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=VALUE, such as source=a")
    return name, value


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it silently
    sys.exit(main(sys.argv[1:], os.environ))
