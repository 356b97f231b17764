"""`make picture`: the pictures of the page that README.md shows, light and dark, of the demonstration's own data."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.page.visits import SHOWN
from tests.support import apt
from tests.support.chromium.driver import connected, running
from tests.support.chromium.program import program
from tests.support.process import ROOT, free_port

FOLDER = ROOT / "docs"
MOST_BYTES = 400_000
_SIZE = (1400, 900)  # wide enough for statistics beside the records
# All of it is there: numbers, every plot, a page of records.
_WHOLE = (
    f"{SHOWN} && document.querySelectorAll('#records tbody tr').length === 20"
    " && [...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('canvas'))"
    " && document.querySelector('#health').textContent.includes('Roles')"
    " && document.querySelector('#freshness').textContent.startsWith('Updated')"
)


async def photograph(browser_url: str, url: str, folder: Path) -> None:
    """Write page-light.png and page-dark.png, of the whole page.

    Raises:
        SystemExit: a picture is too large.
    """
    async with connected(browser_url) as browser:
        for scheme in ("light", "dark"):
            async with browser.page(*_SIZE) as tab:
                await tab.prefer(color_scheme=scheme)
                await tab.open(url)
                await tab.until(_WHOLE)
                path = folder / f"page-{scheme}.png"
                await tab.screenshot(path)
                if (size := path.stat().st_size) > MOST_BYTES:
                    raise SystemExit(f"{path}: {size} bytes, more than {MOST_BYTES}")
                print(f"{path.name}: {size} bytes")  # noqa: T201 - a command


def main() -> None:
    """Run the demonstration, and open its page when all is stored."""
    try:
        browser_program = program()
    except apt.UnavailableError as error:
        raise SystemExit(f"needs a Chromium, on PATH or named by CHROMIUM: {error}") from None
    port, folder = free_port(), tempfile.mkdtemp()
    options = ("--flights", "3000", "--port", str(port), "--data-path", f"{folder}/demo.duckdb")
    demo = subprocess.Popen(
        [sys.executable, "-m", "sluice", "demo", *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert demo.stdout is not None
        if not any(line.startswith("Serving until Ctrl-C") for line in demo.stdout):
            raise SystemExit("the demonstration ended early")
        with running(browser_program) as browser_url:
            asyncio.run(photograph(browser_url, f"http://127.0.0.1:{port}/", FOLDER))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(demo.pid, signal.SIGINT)
        demo.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
