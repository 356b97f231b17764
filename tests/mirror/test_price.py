"""What a mirror asks of its source, as somebody between the two counts it."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import nanoarrow  # type: ignore[import-untyped]
from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]

from sluice.testing.pace import patience_s
from tests.mirror.conftest import mirror_of
from tests.support.http_server import Handler, serving_http
from tests.support.instance import instance

BATCHES, BATCH = 12, 20


@contextmanager
def counted(url: str) -> Iterator[tuple[str, list[int]]]:
    """Stand in front of a service; give a URL, and how many records each answer of the feed had."""
    sizes: list[int] = []

    class Forward(Handler):
        def do_GET(self) -> None:
            sent = {name: self.headers[name] for name in ("Accept", "Authorization") if name in self.headers}
            answer = httpx.get(url + self.path, headers=sent, timeout=patience_s(60))
            own = {name: value for name, value in answer.headers.items() if name.startswith("sluice-")}
            if self.path.startswith("/v1/records?"):
                sizes.append(rows_in(answer.content))
            self.reply(answer.content, answer.headers["content-type"], answer.status_code, **own)

    with serving_http(Forward) as between:
        yield between, sizes


def rows_in(stream: bytes) -> int:
    """Return how many rows an Arrow IPC stream has."""
    with InputStream.from_readable(io.BytesIO(stream)) as source, nanoarrow.c_array_stream(source) as batches:
        return sum(len(batch) for batch in batches)


def follow(url: str, most: int) -> int:
    """Follow the feed until there were that many records; return how many."""
    count, asked = 0, {"since": "-P1D"}
    with httpx.Client(base_url=url, timeout=patience_s(60)) as http:
        while count < most:
            page = http.get("/v1/records", params=asked | {"wait": "5"}).raise_for_status().json()
            count, asked = count + len(page["records"]), {"cursor": page["resume_cursor"]}
    return count


def test_a_record_leaves_the_source_once_however_many_read_it(tmp_path: Path) -> None:
    """Eight followers get all records from the mirror; the source answers each batch to the mirror, and none twice."""
    readers, total = 8, BATCHES * BATCH
    with (
        instance(tmp_path / "source") as source,
        counted(source.url) as (between, sizes),
        instance(tmp_path / "mirror", **mirror_of(source, mirror_url=between)) as mirror,
        ThreadPoolExecutor(readers) as pool,
    ):
        following = [pool.submit(follow, mirror.url, total) for _ in range(readers)]
        for batch in range(BATCHES):
            records = [{"id": f"{batch}-{each}", "timestamp": "2026-01-31T12:00:00Z"} for each in range(BATCH)]
            httpx.post(f"{source.url}/v1/records", json=records).raise_for_status()
        assert [each.result() for each in following] == [total] * readers
    assert sum(sizes) == total
    assert sum(1 for size in sizes if size) <= BATCHES
