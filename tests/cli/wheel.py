"""The wheel, built from this checkout and installed as a user would, with none of its folders in reach."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
_OURS = ("PYTHON", "SLUICE_", "UV_", "VIRTUAL_ENV", "COV_")


class Installed(NamedTuple):
    """The wheel, uv, and the environment of a shell that has `sluice` on its PATH once it is installed."""

    wheel: Path
    uv: str
    environ: Mapping[str, str]

    @property
    def python(self) -> str:
        """The Python of its environment."""
        return str(Path(self.environ["UV_TOOL_DIR"]) / "sluice" / "bin" / "python")


def build(folder: Path) -> Installed:
    """Build the wheel, to be installed in `folder` with `uv tool install`."""
    uv = _run(["sh", "bootstrap.sh", "--uv"], ROOT, os.environ).strip()
    uv = str((ROOT / uv).resolve()) if os.sep in uv else uv
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    caches = {
        name: os.environ[name] for name in ("UV_CACHE_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX") if name in os.environ
    }
    environ = {
        **kept,
        **caches,
        "HOME": str(folder),
        "UV_CACHE_DIR": caches.get("UV_CACHE_DIR") or _run([uv, "cache", "dir"], ROOT, os.environ).strip(),
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_PYTHON_DOWNLOADS": "never",
        "PATH": os.pathsep.join([str(folder / "bin"), str(Path(uv).parent), os.environ["PATH"]]),
    }
    _run([uv, "build", "--quiet", "--wheel", "--out-dir", str(folder)], ROOT, environ)
    (wheel,) = folder.glob("sluice-*.whl")
    return Installed(wheel, uv, environ)


def install(folder: Path) -> Installed:
    """Build the wheel and install it."""
    built = build(folder)
    _run([built.uv, "tool", "install", "--quiet", str(built.wheel)], folder, built.environ)
    return built


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
