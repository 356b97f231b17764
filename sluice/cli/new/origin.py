"""Where this installation of Sluice comes from, as its installer recorded it (PEP 610)."""

import argparse
import re
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import msgspec

from app.version import VERSION

PLACEHOLDER = "OWNER"
"""Stands for the owner on GitHub where the installation does not know it."""
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?")
_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/[\w.-]+?(?:\.git)?/?")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a project must name to get this Sluice again."""

    requirement: str
    """As in `dependencies` of pyproject.toml."""
    owner: str
    """Of the repository on GitHub whose images, module and workflows are used."""
    ref: str
    """The tag or commit of that repository."""


def owner(text: str) -> str:
    """Return an account's name on GitHub, for argparse.

    Raises:
        ArgumentTypeError: it cannot be one.
    """
    if _OWNER.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an account on GitHub, such as my-company")
    return text


def installed_origin() -> Origin:
    """Return the origin of this installation."""
    try:
        recorded = distribution("sluice").read_text("direct_url.json")
    except PackageNotFoundError:  # the repository itself, not installed
        recorded = None
    return origin_of(msgspec.json.decode(recorded) if recorded else None)


def origin_of(recorded: Any) -> Origin:
    """Return the origin that a direct_url.json records.

    None: a package index. No index has a Sluice that is published by us, so a project names the repository's tag.
    """
    tag = f"v{VERSION}"
    if recorded is None:
        requirement = f"sluice @ git+https://github.com/{PLACEHOLDER}/sluice@{tag}"
        return Origin(requirement=requirement, owner=PLACEHOLDER, ref=tag)
    url = str(recorded["url"])
    parts = _GITHUB.fullmatch(url)
    owner = parts[1] if parts else PLACEHOLDER
    if "vcs_info" not in recorded:
        return Origin(requirement=f"sluice @ {url}", owner=owner, ref=tag)
    vcs = recorded["vcs_info"]
    ref = tag if vcs.get("requested_revision") == tag else str(vcs["commit_id"])
    return Origin(requirement=f"sluice @ {vcs['vcs']}+{url}@{ref}", owner=owner, ref=ref)
