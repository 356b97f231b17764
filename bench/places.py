"""Where things are: the repository, and what measurements have found."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
