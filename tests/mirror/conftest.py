import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.support.instance import Instance, instance

TIMES = 12
"""How many batches the source has; every other one has a version of the same ids."""


class Trio(NamedTuple):
    """A source, its mirror, and a mirror of that, which have all read the same."""

    services: tuple[httpx.Client, ...]
    instants: list[str]
    """When records were stored."""


def mirror_of(source: Instance, **settings: str) -> dict[str, str]:
    """Return the settings of a mirror."""
    return {"backend": "mirror", "roles": "query", "mirror_url": source.url, "requests_per_minute": "0"} | settings


@pytest.fixture(scope="session")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """Run the three, over records of a few ids, some of which are erased."""
    folder = tmp_path_factory.mktemp("trio")
    with ExitStack() as stack:
        source = stack.enter_context(instance(folder / "source", requests_per_minute="0"))
        http = stack.enter_context(httpx.Client(base_url=source.url, timeout=patience_s(30)))
        for number in range(TIMES):
            same = {"timestamp": f"2026-01-31T12:00:{number:02}Z", "data": number}
            some = range(number % 2, 40, 1 + number % 3)
            records = [same | {"id": f"r{each}", "source": f"s{each % 3}"} for each in some]
            assert http.post("/v1/records", json=records).status_code == 201
        for record_id in ("r4", "r11", "unknown"):
            assert http.delete(f"/v1/records/{record_id}").status_code == 200
        first = stack.enter_context(instance(folder / "first", **mirror_of(source)))
        second = stack.enter_context(instance(folder / "second", **mirror_of(first)))
        clients = (httpx.Client(base_url=each.url, timeout=patience_s(30)) for each in (first, second))
        others = [stack.enter_context(each) for each in clients]
        page = http.get("/v1/records", params={"limit": 1_000}).json()
        for each in others:
            wait_until_read(each, page["window"]["until"])
        instants = sorted({record["ingest_time"] for record in page["records"]} | {page["window"]["until"]})
        yield Trio((http, *others), instants)


def wait_until_read(client: httpx.Client, instant: str, path: str = "/v1/records") -> None:
    """Wait until a mirror has read beyond an instant."""
    until_s = time.monotonic() + patience_s(60)
    while time.monotonic() < until_s:
        if client.get(path, params={"limit": "1"}).json()["window"]["until"] > instant:
            return
        time.sleep(0.05)
    raise AssertionError(f"{client.base_url} does not advance")
