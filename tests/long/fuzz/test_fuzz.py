"""The fuzz run, short, and the cases of the corpus: `make fuzz` is the long run."""

from pathlib import Path

import pytest

from sluice.testing.pace import patience_s
from tests.long.fuzz.requests import AREAS
from tests.long.fuzz.run import fuzz, kept_cases
from tests.long.fuzz.target import target

EXAMPLES = 12


@pytest.mark.timeout(patience_s(300))
def test_nothing_is_wrong_with_what_is_drawn_and_with_what_was_found_once(tmp_path: Path) -> None:
    """A few of each area, the same ones every time; and every push that was answered 2xx has left something."""
    with target(tmp_path) as service:
        for kept in kept_cases().values():
            service.check(kept.case)
        found = {area: fuzz(area, EXAMPLES, 14, service) for area in AREAS}
        assert found == dict.fromkeys(AREAS)
        assert service.counts[204]
        assert service.promised_and_missing() == []
