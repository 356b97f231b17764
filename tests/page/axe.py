"""axe-core in a tab: the rules of accessibility that a program can check (https://dequeuniversity.com/rules/axe).

npm fetches it once, by the lock in .github/axe, into .cache/. Where npm is missing or reaches no registry, the tests
are skipped, and the summary says so. With REQUIRE_CHROMIUM set, as the CI does, they fail.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.page.program import REQUIRED
from tests.support.chromium.driver import Page
from tests.support.process import ROOT

LOCK = ROOT / ".github" / "axe"
CACHE = ROOT / ".cache" / "axe"
_SCRIPT = Path("node_modules") / "axe-core" / "axe.min.js"
_FETCH = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_RUN = "axe.run().then((found) => JSON.stringify(found))"


async def violations(tab: Page) -> dict[str, list[str]]:
    """Return the rules that the page breaks, each with the elements that do."""
    await tab.run(f"{script()}; 0")
    found: dict[str, Any] = msgspec.json.decode(await tab.run(_RUN))
    assert len(found["passes"]) > 10, "axe has looked at nothing"
    return {each["id"]: [node["html"] for node in each["nodes"]] for each in found["violations"]}


@cache
def script() -> str:
    """Return axe's source; skip the test where it cannot be fetched, unless it is required."""
    lock = (LOCK / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:12]
    if not folder.exists():
        try:
            _fetch(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            missing = f"npm cannot fetch axe-core: {getattr(error, 'stderr', '') or error}"
            if os.environ.get(REQUIRED):
                pytest.fail(missing, pytrace=False)
            pytest.skip(f"NOT tested here: the page with axe-core. {missing}")
    return (folder / _SCRIPT).read_text(encoding="utf-8")


def _fetch(folder: Path) -> None:
    """Fetch what the lock names; a folder that another process has made meanwhile is as good."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        fetched = shutil.copytree(LOCK, Path(temporary) / "fetched")
        subprocess.run(_FETCH, cwd=fetched, capture_output=True, text=True, check=True)
        with suppress(OSError):
            fetched.rename(folder)
