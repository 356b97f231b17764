"""Look around in a container of one target, say what is wrong, or else start the service as the image would.

It runs in the image, by its Python, with nothing but its packages: `python inside.py`.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ACCOUNT = 10_001
SERVICE, PACKAGES = Path("/srv/sluice"), Path("/opt/venv")
BUILD_TOOLS = ("uv", "uvx", "pip", "pip3", "cc", "gcc", "c++", "ld", "make", "git")
OUR_TOOLS = ("bench", "tests")
OF_LAPTOPS = ("aiohttp", "google.cloud.pubsub_v1", "shtab")
NEVER = ("pip", "ensurepip", "setuptools", "pytest", "mypy", "ruff", "pyarrow", "mcp", *OUR_TOOLS, *OF_LAPTOPS)
WANTED = ("duckdb", "google.cloud.bigquery", "grpc", "httpx", "sqlglot", "valkey", "opentelemetry.exporter.otlp")
FILES = (
    "LICENSE",
    "sluice/__init__.py",
    "sluice/mirror/backend.py",
    "sluice_client/async_client.py",
    "app/openapi/page.html",
    "app/openapi/vendor/swagger-ui.js",
    "app/page/page.html",
    "app/page/vendor/uplot.js",
)


def faults() -> Iterator[str]:
    """Say what is not as it should be."""
    if os.getuid() != ACCOUNT or os.geteuid() != ACCOUNT or os.getgid() != ACCOUNT:
        yield f"the process is {os.getuid()}:{os.getgid()}, not {ACCOUNT}"
    yield from (f"{tool} is there: {where}" for tool in BUILD_TOOLS if (where := shutil.which(tool)))
    yield from (f"{name} is there" for name in NEVER if _is_there(name))
    yield from (f"{name} is missing" for name in WANTED if not _is_there(name))
    yield from (f"{name} is missing" for name in FILES if not (SERVICE / name).is_file())
    yield from (f"{place} can be written to" for place in (SERVICE, PACKAGES) if os.access(place, os.W_OK))
    for folder in (SERVICE / "app", PACKAGES / "lib"):
        bare = [file for file in folder.rglob("*.py") if not Path(importlib.util.cache_from_source(str(file))).exists()]
        if bare:
            yield f"{len(bare)} files of {folder} have no bytecode, such as {bare[0]}"


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # as for `python -m app`
    found = list(faults())
    if found:
        sys.exit("; ".join(found))
    os.execv(sys.executable, [sys.executable, "-m", "app"])  # noqa: S606 - no shell is the point
