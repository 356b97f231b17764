"""`sluice smoke`, and how it ended."""

import asyncio
import io
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

import msgspec

from sluice.__main__ import main


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
    """Run the command with nothing in the environment but what is given."""
    out, said = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, environment, clear=True), redirect_stdout(out), redirect_stderr(said):
        status = await asyncio.to_thread(main, ["smoke", *arguments], os.environ)
    return Ended(status, out.getvalue(), said.getvalue())
