"""gs:// against a server of Cloud Storage's API that others have written."""

from collections.abc import Iterator

import pytest
import requests
from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped]

from app.auth.signatures import NO_PROOFS
from sluice.ops.backfill.sources import find_objects, read_items
from tests.support.process import free_port

BUCKET = "archive"


@pytest.fixture
def host() -> Iterator[str]:
    """Give the address of a server with an empty bucket."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_objects_below_a_prefix_are_read_in_ranges(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a format, in order, under their paths below the prefix."""
    bodies = {"day=1/b c.ndjson": b'{"id":"x"}\n', "day=1/_SUCCESS": b"done", "day=2/c.ndjson": b'{"id":"y"}\n'}
    for name, body in bodies.items():
        url = f"{host}/upload/storage/v1/b/{BUCKET}/o"
        requests.post(url, params={"uploadType": "media", "name": name}, data=body, timeout=10).raise_for_status()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    (found,) = find_objects(f"gs://{BUCKET}/day=1/")
    assert found.path == "b c.ndjson"
    assert [item.data for item in read_items(found, NO_PROOFS, 10_000)] == [b'{"id":"x"}']
