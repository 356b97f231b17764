"""The embedded store keeps within its memory, by default a share of the container's."""

from pathlib import Path

import pytest

from app.settings.load import Settings
from app.stores.duckdb.setup import memory_share_bytes, open_backend
from app.stores.duckdb.store import EmbeddedStore
from sluice.testing.clock import FakeClock
from tests.contract.stores import RECORDS, T0_US

MIB = 1024**2


@pytest.mark.parametrize(
    ("container_mib", "share_mib"), [(128, 256), (1024, 256), (2048, 512), (4096, 1024), (65_536, 1024)]
)
def test_the_share_is_a_quarter_within_bounds(container_mib: int, share_mib: int) -> None:
    """A small container leaves DuckDB enough to work with, and a large machine keeps its memory."""
    assert memory_share_bytes(container_mib * MIB) == share_mib * MIB


async def test_the_setting_is_duckdbs_limit_for_every_cursor(tmp_path: Path) -> None:
    """DuckDB shows it in MiB."""
    settings = Settings().replace(data_path=str(tmp_path / "data.duckdb"), embedded_memory_bytes=100 * MIB)
    backend = open_backend(settings, (RECORDS,), FakeClock(T0_US))
    assert isinstance(backend.runner, EmbeddedStore)
    found = backend.runner._connection.cursor().execute("SELECT current_setting('memory_limit')").fetchone()
    assert found == ("100.0 MiB",)
    await backend.close()
