"""Pages and their like over one keep-alive connection: how long each takes."""

import random
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from bench.query.keep_alive import Got, KeepAlive, percentiles
from bench.query.rows import RARE_SOURCE, SOURCES, Rows

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WARM = 20


def instant(us: int) -> str:
    """Return an instant as a parameter."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def page(**parameters: Any) -> str:
    """Return the target of a page; `source_in` is written for `source.in`."""
    return "/v1/records?" + urlencode({name.replace("_", ".", 1): value for name, value in parameters.items()})


class Places:
    """Random places in the rows, the same for the same seed."""

    def __init__(self, rows: Rows, seed: int) -> None:
        self._rows, self._random = rows, random.Random(seed)

    def window(self, length_us: int, within_us: int | None = None) -> dict[str, str]:
        """Return a window that is over, somewhere in the newest `within_us` of the rows."""
        rows = self._rows
        oldest_us = rows.start_us if within_us is None else rows.end_us - within_us
        since_us = self._random.randrange(oldest_us, rows.end_us - length_us)
        return {"since": instant(since_us), "until": instant(since_us + length_us)}

    def recent(self) -> str:
        """Return a moment of the last quarter of an hour to two hours ago."""
        return instant(self._rows.end_us - self._random.randrange(15 * MINUTE_US, 2 * HOUR_US))

    def record_id(self) -> str:
        """Return an id that is there."""
        return self._rows.id_of(self._random.randrange(self._rows.count))

    def source(self) -> str:
        """Return one of the sources that a fifth of the records have."""
        return self._random.choice(SOURCES)


def shapes(places: Places) -> dict[str, Callable[[], str]]:
    """Return what is asked, by name; each call is another place, so that the cache has no answer."""
    return {
        "page of 100, a window of a day": lambda: page(**places.window(DAY_US), limit=100),
        "page of 100, newest first": lambda: page(**places.window(DAY_US), limit=100, order="desc"),
        "page of 100, a window still open": lambda: page(since=places.recent(), limit=100),
        "page of 100, two fields": lambda: page(**places.window(DAY_US), limit=100, fields="id,ingest_time"),
        "page of 100, one source of five": lambda: page(**places.window(DAY_US), limit=100, source=places.source()),
        "page of 100, two filters": lambda: page(
            **places.window(DAY_US), limit=100, source_in="app,web", **{"data.total.gte": 200}
        ),
        "page of 100, one record in a thousand, three days": lambda: page(
            **places.window(3 * DAY_US), limit=100, source=RARE_SOURCE
        ),
        "page of 100 as Arrow": lambda: page(**places.window(DAY_US), limit=100, format="arrow"),
        "page of 1000": lambda: page(**places.window(DAY_US), limit=1_000),
        "a minute, some 20 rows": lambda: page(**places.window(MINUTE_US), limit=100),
        "a second, one row or none": lambda: page(**places.window(SECOND_US), limit=100),
        "record by id": lambda: f"/v1/records/{places.record_id()}",
        "statistics of a day by source": lambda: (
            "/v1/records/stats?" + urlencode({**places.window(DAY_US), "bucket": "PT1H", "by": "source"})
        ),
    }


WALK = "page of 100, by cursor"
SAME = "page of 100, kept by the cache"
REVALIDATED = "304"


def measure_pages(client: KeepAlive, rows: Rows, count: int) -> dict[str, dict[str, Any]]:
    """Ask for each shape `count` times, and return what it took."""
    places = Places(rows, seed=count)
    found = {
        name: _measured(client, (target() for _ in range(count + _WARM)), "bypass" if _is_fresh(name) else "miss")
        for name, target in shapes(places).items()
    }
    found[WALK] = _measured(client, _walked(client, places, count + _WARM), "miss")
    same = page(**places.window(DAY_US), limit=100)
    client.get(same)
    found[SAME] = _measured(client, (same for _ in range(count + _WARM)), "hit")
    found[REVALIDATED] = _revalidated(client, same, count + _WARM)
    return found


def _is_fresh(name: str) -> bool:
    return name == "record by id"


def _measured(client: KeepAlive, targets: Iterator[str], cache: str) -> dict[str, Any]:
    got = []
    for target in targets:
        answer = client.get(target)
        if answer.status != 200 or answer.headers.get("sluice-cache") != cache:
            raise SystemExit(f"{target} was answered {answer.status}, {answer.headers.get('sluice-cache')}")
        got.append(answer)
    return _summary(got[_WARM:])


def _walked(client: KeepAlive, places: Places, count: int) -> Iterator[str]:
    """Yield the second pages of windows: their cursors come from first pages, which are not measured."""
    for _ in range(count):
        first = client.get(page(**places.window(DAY_US), limit=100))
        yield page(cursor=first.headers["sluice-next-cursor"], limit=100)


def _revalidated(client: KeepAlive, target: str, count: int) -> dict[str, Any]:
    etag = client.get(target).headers["etag"]
    got = [client.get(target, if_none_match=etag) for _ in range(count)]
    for answer in got:
        if answer.status != 304 or "desc=revalidated" not in answer.headers["server-timing"]:
            raise SystemExit(f"an ETag was answered {answer.status}: {answer.headers}")
    return _summary(got[_WARM:])


def _summary(got: list[Got]) -> dict[str, Any]:
    found = percentiles([answer.took_ms for answer in got])
    found["body_bytes"] = round(statistics.median(len(answer.body) for answer in got))
    return found
