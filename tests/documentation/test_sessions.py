"""A reader who types what a page shows sees what it shows."""

from pathlib import Path

import pytest

from tests.documentation.session import session, steps_of
from tests.long_form import long
from tests.rules import ROOT

FIRST = ("README.md", "docs/tutorial.md")
"""What a new user reads."""
OTHERS = tuple(f"docs/{name}.md" for name in ("read", "publish", "replay"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [*FIRST, *(pytest.param(page, marks=long) for page in OTHERS)])
def test_every_step_of_the_page_works(page: str, tmp_path: Path) -> None:
    """In an empty folder, in order, with Sluice installed."""
    steps = steps_of(ROOT / page)
    assert len(steps) >= 5
    with session(tmp_path) as terminal:
        for step in steps:
            terminal.carry_out(step)
