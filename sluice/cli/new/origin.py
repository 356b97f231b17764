"""Where this installation of Sluice comes from, as its installer recorded it (PEP 610)."""

import argparse
import re
from collections.abc import Mapping
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


def installed_origin(owner: str) -> Origin:
    """Return the origin of this installation; `owner` is the one that a user gave, or ""."""
    try:
        recorded = distribution("sluice").read_text("direct_url.json")
    except PackageNotFoundError:  # the repository itself, not installed
        recorded = None
    return origin_of(msgspec.json.decode(recorded) if recorded else {}, owner)


def origin_of(recorded: Mapping[str, Any], given: str) -> Origin:
    """Return the origin that a direct_url.json records, by the owner that was `given`.

    {}: a package index. No index has a Sluice that is published by us, so a project names the repository's tag. With an
    owner it names that one's repository: GitHub's workflows cannot reach a path of this machine.
    """
    tag, url, vcs = f"v{VERSION}", recorded.get("url", ""), recorded.get("vcs_info", {})
    ref = vcs.get("commit_id", tag) if vcs.get("requested_revision") != tag else tag
    parts = _GITHUB.fullmatch(url)
    owner = given or (parts[1] if parts else PLACEHOLDER)
    place = f"git+https://github.com/{owner}/sluice@{ref}"
    if recorded and not given:
        place = f"{vcs['vcs']}+{url}@{ref}" if vcs else url
    return Origin(requirement=f"sluice @ {place}", owner=owner, ref=ref)
