"""The targets that a feed can be followed into, each empty."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.postgres import serving_postgres
from tests.client.targets import Target, duckdb_target, parquet_target, postgres_target, sqlite_target


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server for all tests of the process."""
    with serving_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "parquet"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Each kind of target."""
    made: dict[str, Callable[[], Target]] = {
        "sqlite": lambda: sqlite_target(tmp_path / "store.sqlite"),
        "duckdb": lambda: duckdb_target(tmp_path / "store.duckdb"),
        "postgres": lambda: postgres_target(request.getfixturevalue("postgres_url"), f"t{uuid.uuid4().hex}"),
        "parquet": lambda: parquet_target(tmp_path / "store"),
    }
    kind: Any = request.param
    return made[kind]()
