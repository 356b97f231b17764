"""`make picture`: the pictures of the page that README.md shows, light and dark, of the demonstration's own data."""

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from sluice.testing.process import ROOT, free_port
from tests.support import apt
from tests.support.chromium.driver import connected, running
from tests.support.chromium.program import program

FOLDER = ROOT / "docs"
MOST_BYTES = 200_000
_SIZE = (1200, 860)
_STEADY = (
    "document.querySelectorAll('#records tbody tr').length === 20 && document.querySelectorAll('canvas').length > 2"
)


async def photograph(browser_url: str, url: str) -> None:
    """Write docs/page-light.png and docs/page-dark.png."""
    async with connected(browser_url) as browser:
        for scheme in ("light", "dark"):
            async with browser.page(*_SIZE) as tab:
                await tab.prefer(color_scheme=scheme)
                await tab.open(url)
                await tab.until(_STEADY)
                shot = await tab.send("Page.captureScreenshot", format="png")
                _write(FOLDER / f"page-{scheme}.png", base64.b64decode(shot["data"]))


def _write(path: Path, picture: bytes) -> None:
    if len(picture) > MOST_BYTES:
        raise SystemExit(f"{path}: {len(picture)} bytes, more than {MOST_BYTES}")
    path.write_bytes(picture)
    print(f"{path.relative_to(ROOT)}: {len(picture)} bytes")  # noqa: T201 - a command


def main() -> None:
    """Run the demonstration, and open its page when all is stored."""
    try:
        browser_program = program()
    except apt.UnavailableError as error:
        raise SystemExit(f"needs a Chromium, on PATH or named by CHROMIUM: {error}") from None
    port, folder = free_port(), tempfile.mkdtemp()
    demo = subprocess.Popen(
        [sys.executable, "-m", "sluice", "demo", "--port", str(port), "--data-path", f"{folder}/demo.duckdb"],
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
            asyncio.run(photograph(browser_url, f"http://127.0.0.1:{port}/"))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(demo.pid, signal.SIGINT)
        demo.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
