"""gs:// against a server of Cloud Storage's API that others have written."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped]
from pyarrow import parquet

from sluice.ops.backfill.formats import SourceError, read_items
from sluice.ops.backfill.objects import find_objects
from tests.ops.backfill.test_formats import READING
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


def test_objects_below_a_prefix_are_read_in_ranges(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a format, in order, under their paths below the prefix; Parquet, too, which is read from its end."""
    parquet.write_table(pa.table({"id": [f"id{n}" for n in range(10)]}), tmp_path / "a.parquet")
    bodies = {
        "day=1/b c.ndjson": b'{"id":"x"}\n',
        "day=1/a.parquet": (tmp_path / "a.parquet").read_bytes(),
        "day=1/_SUCCESS": b"done",
        "day=2/c.ndjson": b'{"id":"y"}\n',
    }
    for name, body in bodies.items():
        url = f"{host}/upload/storage/v1/b/{BUCKET}/o"
        requests.post(url, params={"uploadType": "media", "name": name}, data=body, timeout=10).raise_for_status()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    found = find_objects(f"gs://{BUCKET}/day=1/", "")
    assert [each.path for each in found] == ["a.parquet", "b c.ndjson"]
    read = [item.data for each in found for item in read_items(each.path, each.format, each.open, READING)]
    assert read == [b'{"id":"id%d"}' % n for n in range(10)] + [b'{"id":"x"}']


def test_a_bucket_that_is_not_there_is_named(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the server's answer."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    with pytest.raises(SourceError, match="gs://none: 404 GET "):
        find_objects("gs://none/x", "")
