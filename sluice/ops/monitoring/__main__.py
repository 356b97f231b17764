"""`python -m sluice.ops.monitoring` writes infra/terraform/monitoring/*.json from the declarations of this package."""

import json
from pathlib import Path
from typing import Any

from sluice.ops.monitoring import google, grafana

FOLDER = Path(__file__).parents[3] / "infra" / "terraform" / "monitoring"


def files() -> dict[str, str]:
    """Return the text of each file."""
    made: dict[str, Any] = {
        "alerts": google.alerts(),
        "slos": google.slos(),
        "dashboard": google.dashboard(),
        "grafana": grafana.board(),
    }
    return {f"{name}.json": json.dumps(each, indent=2, ensure_ascii=False) + "\n" for name, each in made.items()}


def main() -> None:
    """Write the files."""
    for name, text in files().items():
        (FOLDER / name).write_text(text)
        print(f"wrote {(FOLDER / name).relative_to(FOLDER.parents[2])}")


if __name__ == "__main__":
    main()
