"""The examples of docs/testing.md, run as a user's own tests."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.documents import code_blocks, readme_module
from tests.rules import ROOT

PAGE = ROOT / "docs" / "testing.md"


def examples() -> dict[str, Callable[[], Awaitable[None]]]:
    """Return the tests that the page shows, by name."""
    found: dict[str, Any] = {}
    for code in code_blocks(PAGE, "python"):
        exec(compile(code, PAGE.name, "exec"), found)  # noqa: S102 - the document is ours
    return {name: value for name, value in found.items() if name.startswith("test_")}


@pytest.mark.parametrize("example", examples().values(), ids=examples().keys())
async def test_the_example_passes(example: Callable[[], Awaitable[None]]) -> None:
    """With the record type that the README declares."""
    with readme_module():
        await example()
