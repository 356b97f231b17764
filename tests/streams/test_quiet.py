"""What streams without messages cost: next to nothing."""

import gc
import sys
from pathlib import Path

import pytest

from app.main import create_app
from app.settings.load import Settings
from tests.streams.market import Order

FIFTY = {f"s{number}": Order for number in range(50)}
_PAGE, _MIB = 4_096, 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("backend", ["embedded", "bigquery"])
def test_fifty_quiet_streams_cost_no_connection_and_little_memory(backend: str) -> None:
    """At most a megabyte each, measured as the process's own; a connection opens with the first message."""
    settings = Settings().replace(
        backend=backend, data_path=":memory:", bigquery_project="p", bigquery_dataset="d", streams=f"{__name__}:FIFTY"
    )
    create_app(settings.replace(streams="", record="tests.streams.market:Order"))  # what every deployment needs
    before = _resident()
    app = create_app(settings)
    grown = _resident() - before
    ingest = app.instance.ingest
    assert ingest is not None
    assert len(ingest.sinks) == len(FIFTY) + 1
    assert grown < len(FIFTY) * _MIB
    sinks = app.instance.health.readiness(detailed=False).sinks
    assert {sink.connections for sink in sinks.values()} == {0}


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
