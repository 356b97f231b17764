"""`sluice upgrade VERSION`: write another version of Sluice into the files of a project."""

import argparse
import re
import sys
from pathlib import Path

from cli.new.project import upgraded

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
    parser.add_argument("version", type=_version, help="such as 1.2.3")


def run(args: argparse.Namespace) -> int:
    """Change the files and list them; 1 if none names a version of Sluice."""
    found = changed = 0
    for path in sorted({each for pattern in _FILES for each in Path().glob(pattern)}):
        before = path.read_text(encoding="utf-8")
        after = upgraded(before, args.version)
        found += upgraded(before, "0.0.0") != before or upgraded(before, "0.0.1") != before
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed += 1
            print(path)
    if not found:
        print("upgrade: no file here names a version of Sluice; run this in a project's folder", file=sys.stderr)
        return NOTHING
    print(f"{changed} files changed" if changed else f"every file names {args.version} already")
    return 0


def _version(text: str) -> str:
    matched = _VERSION.fullmatch(text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected three numbers, such as 1.2.3")
    return matched[1]
