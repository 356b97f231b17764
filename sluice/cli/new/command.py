"""`sluice new FOLDER`: make a project."""

import argparse
import sys
from pathlib import Path

from sluice.cli.new.origin import PLACEHOLDER, installed_origin, owner
from sluice.cli.new.project import project_files, system_name

WRONG = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Make a folder with a record type and its tests, a compose file, an image of three lines, Terraform that "
        "uses Sluice's module by its tag, and workflows that use Sluice's. Nothing in it is a copy of Sluice."
    )
    parser.add_argument("folder", type=Path, help="the folder to make; its name is that of the system")
    parser.add_argument("--name", help="the name of the system, if it is not that of the folder")
    parser.add_argument(
        "--owner",
        type=owner,
        help="who publishes Sluice on GitHub (default: where this installation comes from, if it is there)",
    )


def run(args: argparse.Namespace) -> int:
    """Make the project and say what to do next."""
    given = args.name or args.folder.resolve().name
    system = system_name(given)
    if system is None or (args.name and system != args.name):
        hint = f", such as {system}" if system else ", such as orders"
        return _refuse(f"{given!r} cannot be a system's name: 3 to 21 of a-z, 0-9 and `-`, a letter first{hint}")
    origin = installed_origin(args.owner or "")
    try:
        if args.folder.exists() and (not args.folder.is_dir() or any(args.folder.iterdir())):
            return _refuse(f"{args.folder} exists already, and is not an empty folder")
        for path, text in project_files(system, origin):
            written = args.folder / path
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(text, encoding="utf-8")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    print(f"""\
{args.folder} is a service that stores orders: orders.py says what an order is.

  cd {args.folder}
  sluice up             the service with a local Pub/Sub, until Ctrl-C
  sluice publish FILE   its records, from another terminal
  uv run pytest         the tests of the type

README.md has the rest, up to the deployment.""")
    if origin.owner == PLACEHOLDER:
        print(f"""
`sluice up` needs no more. uv, Docker, GitHub and Terraform need the account that publishes Sluice on GitHub, in
place of {PLACEHOLDER}: make the project with --owner, or write it as section 4 of docs/deploy.md does.""")
    return 0


def _refuse(message: str) -> int:
    print(f"new: {message}", file=sys.stderr)
    return WRONG
