"""`sluice new FOLDER`: make a project."""

import argparse
import sys
from pathlib import Path

import msgspec

from cli.new.origin import installed_origin
from cli.new.project import lacks_owner, project_files, system_name

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
        "--owner", help="who publishes Sluice on GitHub (default: where this installation comes from, if it is there)"
    )


def run(args: argparse.Namespace) -> int:
    """Make the project and say what to do next."""
    given = args.name or args.folder.resolve().name
    system = system_name(given)
    if system is None or (args.name and system != args.name):
        hint = f", such as {system}" if system else ", such as orders"
        return _refuse(f"{given!r} cannot be a system's name: 3 to 21 of a-z, 0-9 and `-`, a letter first{hint}")
    if args.folder.exists() and (not args.folder.is_dir() or any(args.folder.iterdir())):
        return _refuse(f"{args.folder} exists already, and is not an empty folder")
    origin = installed_origin()
    if args.owner:
        origin = msgspec.structs.replace(origin, owner=args.owner)
    try:
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
    if lacks_owner(origin):
        print(
            "\nOWNER stands where the owner of Sluice on GitHub belongs, in compose.yaml, Dockerfile, infra/ and "
            ".github/; a laptop does not need it."
        )
    return 0


def _refuse(message: str) -> int:
    print(f"new: {message}", file=sys.stderr)
    return WRONG
