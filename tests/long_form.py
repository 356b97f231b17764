"""The two forms of the tests: the short one, which every change runs, and the long one, which the nightly run does.

Both prove every promise. The short form proves each of them once; the long form adds the cases, the examples and the
processes that seldom find more. TEST_FORM=long selects it, as `make test-long` does.
"""

import os

import pytest
from hypothesis import settings

VARIABLE = "TEST_FORM"
FORMS = ("short", "long")
IS_LONG = os.environ.get(VARIABLE) == "long"
EXAMPLES = 100
"""How many examples the long form tries of a law that does not say."""

settings.register_profile("long", max_examples=EXAMPLES, deadline=None, print_blob=True)
# The same examples at every run: a change is to fail by what it changed. The long form looks for new ones.
settings.register_profile("short", max_examples=EXAMPLES // 4, deadline=None, print_blob=True, derandomize=True)

long = pytest.mark.long
"""Marks a test, or a case of one, that only the long form has."""


def examples(number: int) -> int:
    """Return of how many examples a law is tried: `number` in the long form, a quarter of it in the short one."""
    return number if IS_LONG else max(number // 4, 1)


def choose() -> None:
    """Load the form's Hypothesis profile.

    Raises:
        pytest.UsageError: the variable names no form.
    """
    told = os.environ.get(VARIABLE, "short")
    if told not in FORMS:
        raise pytest.UsageError(f"{VARIABLE}={told}: must be {' or '.join(FORMS)}")
    settings.load_profile(told)


def deselect(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    """Leave tests out, and have them counted as deselected."""
    if left_out:
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left_out)
