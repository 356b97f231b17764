"""From an empty folder to an own record on the page, with the commands of tests/cli/from_nothing.sh."""

import asyncio
import os
import re
import signal
from pathlib import Path

from sluice.testing.pace import patience_s
from tests.cli.wheel import ROOT, build
from tests.support.chromium.driver import Page

SCRIPT = ROOT / "tests" / "cli" / "from_nothing.sh"
MOST_COMMANDS, WITHIN_S = 12, 600


async def test_the_published_records_are_on_the_page(tab: Page, tmp_path: Path) -> None:
    """The type is the user's own, the publisher Google's, and the page shows what was published."""
    built = await asyncio.to_thread(build, tmp_path)
    shell = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc", "-euo", "pipefail", str(SCRIPT)),
        cwd=tmp_path,
        env={**built.environ, "SLUICE": str(built.wheel)},
        start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert shell.stderr is not None
        async with asyncio.timeout(max(WITHIN_S, patience_s(WITHIN_S))):
            assert await shell.wait() == 0, (await shell.stderr.read()).decode()
        (url,) = re.findall(r"look at it +(http://\S+)", (tmp_path / "payments" / "up.log").read_text())
        await tab.open(url)
        for number in (1, 2, 3):
            await tab.shows("#records tbody", f"P-000{number}")
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
