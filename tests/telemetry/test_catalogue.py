"""What is derived from the catalogue of metrics is what is committed."""

import subprocess
import sys
from pathlib import Path

from app.telemetry.instruments import BY_NAME, CATALOGUE

ROOT = Path(__file__).parent.parent.parent


def test_the_descriptors_that_terraform_makes_are_those_of_the_catalogue() -> None:
    """`python -m app.telemetry --json > infra/terraform/monitoring/metrics.json` makes it anew."""
    printed = subprocess.run(
        [sys.executable, "-m", "app.telemetry", "--json"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    assert (ROOT / "infra/terraform/monitoring/metrics.json").read_bytes() == printed


def test_names_are_unique_and_histograms_alone_have_bounds() -> None:
    """Bounds rise, so that every value has one bucket."""
    assert len(BY_NAME) == len(CATALOGUE)
    for each in CATALOGUE:
        assert bool(each.bounds) == (each.kind == "histogram"), each.name
        assert list(each.bounds) == sorted(set(each.bounds)), each.name
