"""What importing the service costs. Who may import whom is a contract of import-linter (`make lint`)."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.rules import ROOT


def test_a_store_that_is_not_used_is_not_imported() -> None:
    """Start-up is waited for: what one store needs, the other does without."""
    heavy = ("duckdb", "google.cloud", "grpc", "nanoarrow", "pyarrow", "sqlglot", "valkey")
    program = "import sys, app.__main__; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "app.main" in loaded
    assert not [name for name in loaded if name.startswith(heavy)]


def test_what_no_route_is_written_in_is_not_imported(tmp_path: Path) -> None:
    """Litestar would import them wherever they are installed, as the tests have them."""
    program = (
        "import sys; from app.main import create_app; from app.settings.load import Settings; "
        "create_app(Settings().replace(data_path=sys.argv[1])); print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data.duckdb")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert {"duckdb", "litestar"} <= {*loaded}
    assert not {"attrs", "pydantic"} & {*loaded}
    assert find_spec("attrs") is not None
    assert find_spec("pydantic") is not None
