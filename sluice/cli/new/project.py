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
_VERSIONED = re.compile(
    r"(?P<image>ghcr\.io/[\w.-]+/sluice:)\d+\.\d+\.\d+"
    r"|(?P<tag>(?:ref=|/sluice/\.github/workflows/\w+\.yml@|/sluice/blob/|/sluice(?:\.git)?@))(?:v\d+\.\d+\.\d+|[0-9a-f]{40})"
)

_OWNED = re.compile(r"(?:(?P<image>ghcr\.io/)|(?P<source>github\.com/|uses: ))[\w.-]+(?=/sluice(?![\w-]))")
_LOCAL = re.compile(r"(?P<name>sluice(?:\[[a-z,]+\])?) @ file:[^\"]*")


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
        "ghcr.io/__OWNER__": f"ghcr.io/{_image_owner(origin.owner)}",
        "__OWNER__": origin.owner,
        "__REF__": origin.ref,
        "__VERSION__": VERSION,
        "__REQUIREMENT__": origin.requirement,
    }
    for path in sorted(each for each in TEMPLATE.rglob("*") if each.is_file() and "__pycache__" not in each.parts):
        first, *rest = path.relative_to(TEMPLATE).parts
        yield PurePosixPath(_HIDDEN.get(first, first), *rest), _filled(path.read_text(encoding="utf-8"), names)


def upgraded(text: str, version: str) -> str:
    """Return a file of a project with another version of Sluice wherever it names one."""

    def renewed(place: re.Match[str]) -> str:
        return f"{place['image']}{version}" if place["image"] else f"{place['tag']}v{version}"

    return _VERSIONED.sub(renewed, text)


def owned(text: str, owner: str) -> str:
    """Return a file of a project with another owner of Sluice on GitHub wherever it names one.

    A requirement that is a path of this machine becomes that repository, by the tag of this version: GitHub's workflows
    cannot reach the path.
    """

    def renewed(place: re.Match[str]) -> str:
        return f"{place['image']}{_image_owner(owner)}" if place["image"] else f"{place['source']}{owner}"

    return _LOCAL.sub(rf"\g<name> @ git+https://github.com/{owner}/sluice@v{VERSION}", _OWNED.sub(renewed, text))


def lacks_owner(text: str) -> bool:
    """Return whether a file of a project must get an owner before the project can be deployed."""
    return f"{PLACEHOLDER}/sluice" in text or _LOCAL.search(text) is not None


def _image_owner(owner: str) -> str:
    """Return the owner as the name of an image has it, which is lower case."""
    return owner if owner == PLACEHOLDER else owner.lower()


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text
