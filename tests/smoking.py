"""`sluice smoke`, run as a person does, and how it ended."""

import asyncio
import sys
from typing import Any

import msgspec

from tests.support.process import ROOT

OPEN = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
"""What there is in the environment."""


class Ended(msgspec.Struct):
    """How a run ended, and what it printed."""

    status: int
    out: str
    said: str

    @property
    def report(self) -> Any:
        return msgspec.json.decode(self.out)

    def step(self, name: str) -> str:
        """Return what a step that failed said."""
        (step,) = (step for step in self.report["steps"] if step["name"] == name)
        assert not step["passed"]
        return str(step["said"])


async def smoke(*arguments: str, **environment: str) -> Ended:
    """Run the command as a person does, with nothing in the environment but what is given."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sluice", "smoke", *arguments),
        cwd=ROOT,
        env=OPEN | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), said.decode())
