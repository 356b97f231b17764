"""`sluice upgrade VERSION`: write another version of Sluice, or its owner, into the files of a project."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from sluice.cli.new.origin import owner
from sluice.cli.new.project import owned, upgraded

_FILES = (
    *("pyproject.toml", "Dockerfile", "compose.yaml", "README.md"),
    *("infra/**/*.tf", "infra/**/*.tfvars", ".github/workflows/*.yml"),
)
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+)")
NOTHING, WRONG = 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Write another version of Sluice into the files of the project in the working folder, wherever they name one. "
        "Then run `uv lock`, read CHANGELOG.md of that version, and commit."
    )
    parser.add_argument("version", nargs="?", type=_version, help="such as 1.2.3")
    parser.add_argument(
        "--owner", type=owner, help="who publishes Sluice on GitHub; written wherever a file names an owner, or OWNER"
    )


def run(args: argparse.Namespace) -> int:
    """Change the files and list them; 1 if none names a version of Sluice."""
    if args.version is None and args.owner is None:
        print("upgrade: give a version, such as 1.2.3, or --owner", file=sys.stderr)
        return WRONG
    mentions = changed = 0
    for path in _files():
        before = path.read_text(encoding="utf-8")
        after = owned(before, args.owner) if args.owner else before
        after = upgraded(after, args.version) if args.version else after
        mentions += _names_sluice(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed += 1
            print(path)
    if not mentions:
        print("upgrade: no file here names a version of Sluice; run this in a project's folder", file=sys.stderr)
        return NOTHING
    named = " of ".join(each for each in (args.version, args.owner) if each)
    print(f"{changed} files changed" if changed else f"every file names {named} already")
    return 0


def _files() -> Iterator[Path]:
    yield from sorted({each for pattern in _FILES for each in Path().glob(pattern)})


def _names_sluice(text: str) -> bool:
    return upgraded(text, "0.0.0") != text or upgraded(text, "0.0.1") != text


def _version(text: str) -> str:
    matched = _VERSION.fullmatch(text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected three numbers, such as 1.2.3")
    return matched[1]
