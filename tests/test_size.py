"""What `make size` counts, and when it fails."""

import pytest

from tests import size

MODULE = '''"""A docstring.

Of three lines.
"""

import os  # a comment beside code

# a comment alone
TEXT = """two
lines"""


def act(
    one: int,
) -> None:
    """Act."""
    os.getpid()
'''


def test_blank_lines_comments_and_docstrings_are_no_code() -> None:
    """A text over two lines, and a signature over three, are."""
    assert size.code_lines(MODULE) == 7


@pytest.mark.parametrize(("ceiling", "status"), [(1_000_000, 0), (0, 1)])
def test_a_part_above_its_ceiling_fails(
    ceiling: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And is named."""
    monkeypatch.setattr(size, "CEILINGS", dict.fromkeys(size.CEILINGS, 1_000_000) | {"app": ceiling})
    assert size.main() == status
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("app ")]
    assert ("above its ceiling" in row) == bool(status)
