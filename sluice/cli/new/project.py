"""The files of a project: the template, with its names filled in. Pure, but for reading the template."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from app.version import VERSION
from sluice.cli.new.origin import PLACEHOLDER, Origin

TEMPLATE = Path(__file__).with_name("template")
_HIDDEN = {
    "github": ".github",
    "gitignore": ".gitignore",
    "dockerignore": ".dockerignore",
    "project.toml": "pyproject.toml",
}
"""What tools would read in the template, too, if it had its own name there."""
_NAME = re.compile(r"[a-z][a-z0-9-]{1,19}[a-z0-9]")


def system_name(folder: str) -> str | None:
    """Return the name of the system for a folder's name; None if none can be made of it.

    It begins the name of every resource on Google Cloud (infra/terraform, variable `system`).
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:21].rstrip("-")
    return name if _NAME.fullmatch(name) else None


def project_files(system: str, origin: Origin) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield each file of the project `system`, by its path."""
    names = {
        "__SYSTEM__": system,
        # The name of an image is in lower case.
        "ghcr.io/__OWNER__": f"ghcr.io/{origin.owner if origin.owner == PLACEHOLDER else origin.owner.lower()}",
        "__OWNER__": origin.owner,
        "__REF__": origin.ref,
        "__VERSION__": VERSION,
        "__REQUIREMENT__": origin.requirement,
    }
    for path in sorted(each for each in TEMPLATE.rglob("*") if each.is_file() and "__pycache__" not in each.parts):
        first, *rest = path.relative_to(TEMPLATE).parts
        yield PurePosixPath(_HIDDEN.get(first, first), *rest), _filled(path.read_text(encoding="utf-8"), names)


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text
