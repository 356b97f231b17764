"""The clients of `make load`: a mix of readers, in a process and an environment of their own (Locust wants gevent).

    python -m bench.query.load_users < ORDER

Each client is of one kind, asks again some time after it was answered, and does so over connections of its own. Reads
one order as JSON from the standard input and prints what the clients saw, as JSON.
"""

import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, ClassVar

import gevent  # type: ignore[import-not-found,import-untyped,unused-ignore]
import locust  # type: ignore[import-not-found,import-untyped,unused-ignore]
import psutil  # type: ignore[import-not-found,import-untyped,unused-ignore]
from locust.env import Environment  # type: ignore[import-not-found,import-untyped,unused-ignore]

_CONNECTIONS_A_SECOND = 100  # more at once, and Locust warns
_WINDOWS = 5
_CUTS = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}


class Seen:
    """What the clients of one run saw, by kind of request."""

    def __init__(self) -> None:
        self._counts_since = time.perf_counter()
        self.took_ms: dict[str, list[float]] = defaultdict(list)
        self.states: dict[str, Counter[str]] = defaultdict(Counter)
        self.statuses: Counter[str] = Counter()
        self.body_bytes: Counter[str] = Counter()

    def take(self, kind: str, response: Any, took_ms: float) -> None:
        """Take an answer, if the clients have all come."""
        if time.perf_counter() < self._counts_since:
            return
        status = response.status_code
        self.statuses[str(status or response.error)] += 1
        if status in {200, 304}:
            self.took_ms[kind].append(took_ms)
            self.states[kind][_state(response)] += 1
            self.body_bytes[kind] += len(response.content or b"")

    def begin(self, after_s: float) -> None:
        """Count what is asked from then on."""
        self._counts_since = time.perf_counter() + after_s


def _state(response: Any) -> str:
    if response.status_code == 304:
        return "revalidated"
    return str(response.headers.get("sluice-cache") or "none")


class Reader(locust.FastHttpUser):  # type: ignore[misc,unused-ignore]
    """What all kinds have in common."""

    abstract = True
    act: Callable[[], None]
    """Asks once, as a client of this kind does."""
    order: ClassVar[dict[str, Any]]
    seen: ClassVar[Seen]

    @locust.task  # type: ignore[untyped-decorator,unused-ignore]
    def do(self) -> None:
        """Ask; Locust calls this again and again."""
        self.act()

    def ask(self, kind: str, target: str, **headers: str) -> Any:
        """Ask for `target`, note the answer, and wait until the next request is due."""
        sent = {"Authorization": self.order["authorization"], "x-kind": kind}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        begun_s = time.perf_counter()
        response = self.client.get(target, headers=sent)
        took_s = time.perf_counter() - begun_s
        self.seen.take(kind, response, took_s * 1_000)
        if pause_s := self.order["pause_s"]:
            gevent.sleep(max(random.uniform(0.5, 1.5) * pause_s - took_s, 0))
        return response

    def one_of(self, name: str) -> str:
        """Return one of the targets that the order has under this name."""
        return str(random.choice(self.order["targets"][name]))


class Poller(Reader):
    """Asks for the same open window, as all pollers do: a dashboard's newest records."""

    def act(self) -> None:
        """Ask."""
        self.ask("poll", self.order["targets"]["poll"][0])


class Follower(Reader):
    """Follows the feed with a cursor of its own, from some time ago."""

    def on_start(self) -> None:
        """Begin somewhere in the last quarter of an hour."""
        self.target = self.one_of("follow")

    def act(self) -> None:
        """Ask for what comes next."""
        response = self.ask("follow", self.target)
        if response.status_code == 200:
            cursor = response.headers.get("sluice-next-cursor") or response.headers["sluice-resume-cursor"]
            self.target = self.order["targets"]["cursor"][0] + cursor


class Keeper(Reader):
    """Comes back to windows that are over, with what it kept of them."""

    def on_start(self) -> None:
        """Have nothing yet of a few windows."""
        self.windows = random.sample(self.order["targets"]["closed"], _WINDOWS)
        self.etags: dict[str, str] = {}

    def act(self) -> None:
        """Ask whether a window is still as it was; the first time, for the window."""
        target = random.choice(self.windows)
        etag = self.etags.get(target)
        if etag is not None:
            self.ask("closed, If-None-Match", target, if_none_match=etag)
            return
        response = self.ask("closed", target)
        if response.status_code == 200:
            self.etags[target] = response.headers["etag"]


class Finder(Reader):
    """Looks up single records."""

    def act(self) -> None:
        """Ask for one."""
        self.ask("by id", self.one_of("by id"))


class Viewer(Reader):
    """Looks at statistics: few windows, the same for all, as a dashboard's are."""

    def act(self) -> None:
        """Ask for some."""
        self.ask("stats", self.one_of("stats"))


class Analyst(Reader):
    """Reads filtered pages of windows that nobody else reads."""

    def act(self) -> None:
        """Ask for one."""
        self.ask("filtered", self.one_of("filtered"))


KINDS = {
    "pollers": Poller,
    "followers": Follower,
    "keepers": Keeper,
    "finders": Finder,
    "viewers": Viewer,
    "analysts": Analyst,
}


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Let the clients come, read for as long as the order says, and go; return what they saw."""
    Reader.order, Reader.seen = order, Seen()
    classes = []
    for name, share in order["shares"].items():
        KINDS[name].fixed_count = round(order["clients"] * share)
        classes.append(KINDS[name])
    environment = Environment(user_classes=classes, host=order["url"])
    runner = environment.create_local_runner()
    come_s = order["clients"] / _CONNECTIONS_A_SECOND + order["warm_s"]
    Reader.seen.begin(come_s)
    runner.start(order["clients"], spawn_rate=_CONNECTIONS_A_SECOND)
    gevent.sleep(come_s)
    begun_s, begun_cpu_s = time.perf_counter(), _cpu_s(order["server_pid"])
    gevent.sleep(order["seconds"])
    elapsed_s, ended_cpu_s = time.perf_counter() - begun_s, _cpu_s(order["server_pid"])
    found = _summary(Reader.seen, elapsed_s)
    runner.quit()
    server, clients = ((end - begin) / elapsed_s for begin, end in zip(begun_cpu_s, ended_cpu_s, strict=True))
    return found | {"server_cores": round(server, 2), "clients_cores": round(clients, 2)}


def _cpu_s(server_pid: int) -> tuple[float, float]:
    """Return the processor time that the server and this process have used."""
    used = psutil.Process(server_pid).cpu_times()
    return used.user + used.system, time.process_time()


def _summary(seen: Seen, elapsed_s: float) -> dict[str, Any]:
    everything = [ms for values in seen.took_ms.values() for ms in values]
    kinds = {
        kind: _row(values, elapsed_s)
        | {"body_bytes": round(seen.body_bytes[kind] / len(values)), "cache": dict(seen.states[kind])}
        for kind, values in sorted(seen.took_ms.items())
    }
    states: Counter[str] = sum(seen.states.values(), Counter())
    good = {"200", "304"}
    return {
        **_row(everything, elapsed_s),
        "errors": sum(count for status, count in seen.statuses.items() if status not in good | {"429"}),
        "too_many_requests": seen.statuses["429"],
        "statuses": dict(seen.statuses),
        "cache": dict(states),
        "kinds": kinds,
    }


def _row(values_ms: list[float], elapsed_s: float) -> dict[str, Any]:
    ordered = sorted(values_ms)
    cuts = {name: round(ordered[min(len(ordered) * cut // 100, len(ordered) - 1)], 2) for name, cut in _CUTS.items()}
    return {"requests": len(ordered), "requests_per_s": round(len(ordered) / elapsed_s, 1), **cuts}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(json.load(sys.stdin))) + "\n")
