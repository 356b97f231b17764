"""How `POST /pubsub/push` should be answered: four ways to read a body and send 204, nothing else.

    bare      an ASGI function under the server
    short     the same function, reached by `Sluice.__call__` before the framework's layers
    mounted   the same function, mounted in a Litestar application
    route     a Litestar route handler that reads the body

Each contender is a fresh process on one core, loaded from the other; the order alternates over the rounds, and
what counts is the ratio to `bare` in the same round. Writes bench/results/push_handlers.json.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

from bench.machine import machine
from bench.places import RESULTS, ROOT

RESULT = RESULTS / "push_handlers.json"
CONTENDERS = ("bare", "short", "mounted", "route")
BODY = json.dumps({"message": {"data": "x" * 1_340, "messageId": "1"}, "subscription": "projects/p/subscriptions/s"})


def serve(contender: str, port: int) -> None:
    """Run one contender's server in this process."""
    from granian.constants import Interfaces  # noqa: PLC0415 - the child's business
    from granian.server.embed import Server  # noqa: PLC0415 - the child's business
    from litestar import Litestar, Request, asgi, post  # noqa: PLC0415 - likewise
    from uvloop import run  # noqa: PLC0415 - likewise

    async def endpoint(_: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @asgi("/pubsub/push", copy_scope=False)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await endpoint(scope, receive, send)

    @post("/pubsub/push", status_code=204)
    async def route(request: Request[Any, Any, Any]) -> None:
        await request.body()

    class Short(Litestar):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] == "/pubsub/push" and scope["method"] == "POST":
                await endpoint(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)

    apps: dict[str, Any] = {
        "bare": endpoint,
        "short": Short([route], logging_config=None),
        "mounted": Litestar([mounted], logging_config=None),
        "route": Litestar([route], logging_config=None),
    }
    interface = Interfaces.ASGINL if contender == "bare" else Interfaces.ASGI
    run(Server(apps[contender], port=port, interface=interface, websockets=False, log_enabled=False).serve())


def measure(contender: str, connections: int, seconds: float) -> float:
    """Return the requests a second that `contender` answers."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pin = ["taskset", "-c", str(cores[0])] if len(cores) > 1 else []
    server = subprocess.Popen(
        [*pin, sys.executable, "-m", "bench.ingest.push_handlers", "--serve", contender, str(port)], cwd=ROOT
    )
    try:
        _wait_for(port)
        head = (
            "POST /pubsub/push HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(BODY)}\r\nAuthorization: Bearer {'t' * 800}\r\n\r\n"
        )
        order = {
            "port": port,
            "head": head,
            "body": BODY,
            "connections": connections,
            "warm_s": 1.0,
            "seconds": seconds,
        }
        pin = ["taskset", "-c", str(cores[1])] if len(cores) > 1 else []
        load = subprocess.run(
            [*pin, sys.executable, "-m", "bench.load"],
            cwd=ROOT,
            input=json.dumps(order),
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        server.kill()
        server.wait()
    result = json.loads(load.stdout)
    if result["not_204"]:
        raise SystemExit(f"{contender}: {result['not_204']:.1%} of the answers were not 204")
    return float(result["per_second"])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server did not come up")


def main() -> None:
    """Measure every contender in every round; write the results and print their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each measurement takes")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--serve", nargs=2, metavar=("CONTENDER", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], int(options.serve[1]))
        return
    rounds: list[dict[str, float]] = []
    for number in range(options.rounds):
        order = CONTENDERS if number % 2 == 0 else CONTENDERS[::-1]
        rounds.append({each: measure(each, options.connections, options.seconds) for each in order})
    report: dict[str, Any] = {
        "machine": machine(),
        "connections": options.connections,
        "rounds": rounds,
        "ratio_to_bare": {
            each: round(statistics.median(r[each] / r["bare"] for r in rounds), 3) for each in CONTENDERS
        },
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    for each in CONTENDERS:
        median = statistics.median(r[each] for r in rounds)
        print(f"{each:8} {median:8.0f} requests/s   {report['ratio_to_bare'][each]:.2f} of bare")


if __name__ == "__main__":
    main()
