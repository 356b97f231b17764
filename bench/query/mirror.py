"""What a mirror does with many records, each the only version of its id: catching up, pages, states, a restart.

    python -m bench.query.mirror [--rows 3000000]

Source and mirror are real processes on the same machine. It prints, and keeps nothing.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from app.runtime.instants import DAY_US
from bench.query.keep_alive import Got, KeepAlive, percentiles
from bench.query.pages import Places, page
from bench.query.rows import Rows, build_rows
from bench.query.served import Served, service
from bench.usage import Watch

_PAGES = 300
_CAUGHT_UP_S = 30.0
_STATE = "/v1/state?limit=100"
_body = msgspec.json.Decoder(dict[str, msgspec.Raw])


def main() -> None:
    """Measure, and print each figure when it is known."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=3_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path, copy = Path(directory, "source.duckdb"), Path(directory, "mirror.duckdb")
        rows = build_rows(path, options.rows, versions=1)
        with service(path) as source:
            token = source.authorization.removeprefix("Bearer ")
            mirror = partial(service, copy, backend="mirror", roles="query", mirror_url=source.url, mirror_token=token)
            with mirror() as served:
                _catch_up(served, rows)
            begun_s = time.monotonic()
            with mirror() as served, KeepAlive(served) as client, Watch(served.pid) as watch:
                client.get(page(limit=100))
                _say(f"restart until the first page: {time.monotonic() - begun_s:.2f} s")
                places = Places(rows, seed=1)
                _time("page of 100, anywhere", lambda: client.get(page(**places.window(DAY_US), limit=100)))
                _time("record by id", lambda: client.get(f"/v1/records/{places.record_id()}"))
                _time("first page of a state", lambda: client.get(f"{_STATE}&as_of={places.recent()}"))
                walk = _walked(client)
                _time("page of 100 of a state, from its begin", lambda: next(walk))
            _say(f"memory, at most: {watch.peak_mib:.0f} MiB")


def _catch_up(mirror: Served, rows: Rows) -> None:
    begun_s = time.monotonic()
    with Watch(mirror.pid) as watch, KeepAlive(mirror) as client:
        while float(client.get("/v1/schema").headers["sluice-lag"]) > _CAUGHT_UP_S:
            time.sleep(0.2)
        took_s = time.monotonic() - begun_s
    _say(f"{rows.count:,} records in {took_s:.0f} s, {rows.count / took_s:,.0f}/s; at most {watch.peak_mib:.0f} MiB")


def _walked(client: KeepAlive) -> Iterator[Got]:
    got = client.get(_STATE)
    while True:
        cursor = msgspec.json.decode(_body.decode(got.body)["next_cursor"], type=str)
        got = client.get(f"{_STATE}&cursor={cursor}")
        yield got


def _time(name: str, ask: Callable[[], Got]) -> None:
    answers = [ask() for _ in range(_PAGES)]
    if wrong := [got for got in answers if got.status != 200]:
        raise SystemExit(f"{name}: {wrong[0].status} {wrong[0].body[:500]!r}")
    took = percentiles([got.took_ms for got in answers])
    _say(f"{name}: p50 {took['p50_ms']:.1f} ms, p95 {took['p95_ms']:.1f}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
