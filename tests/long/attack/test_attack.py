"""One small attack, end to end: `make attack` is the long run."""

from pathlib import Path

import pytest

from sluice.testing.pace import patience_s
from tests.long.attack.plan import Attack, Hold, Repeat
from tests.long.attack.run import Times, run


@pytest.mark.slow
async def test_an_attack_is_made_and_its_neighbours_are_measured(tmp_path: Path) -> None:
    """A few silent sockets and rejected messages hurt nobody; the figures come from both processes."""
    attack = Attack(
        name="small",
        moves=(
            Hold(opening="silent-sockets", connections=5),
            Repeat(payload="rejects-from-a-few-bytes", connections=1, pause_s=0.1, times=1),
            Repeat(payload="large-record", connections=1, pause_s=0.1, times=1),
        ),
        seconds=patience_s(2),
    )
    outcome = await run(attack, tmp_path, Times(before_s=0.5, after_s=0.5))
    seen = outcome.evidence
    assert sum(outcome.sent.connections.values()) == 5
    assert outcome.sent.acknowledged == ["attack-0"]
    assert not seen.missing
    assert not seen.repeated
    assert seen.alive
    assert seen.during.liveness.requests
    assert seen.during.producer.requests
    assert seen.peak_bytes > 50 * 1024 * 1024
    assert outcome.text().startswith("small: ")
