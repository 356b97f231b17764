"""The ceiling of an HTTP answer: a bare ASGI application, under the service's own server, whose answers are ready.

    python -m bench.query.constant PORT FILE

FILE is JSON: by kind, the size of the answer's body in bytes and its headers. The kind is what the request header
`x-kind` says. A request with `if-none-match` is answered 304.
"""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

_BYTES_OF_A_PIECE = 256 * 1024


class Constant(msgspec.Struct, frozen=True):
    """An answer of a kind."""

    body_bytes: int
    headers: dict[str, str] = {}


def application(answers: dict[str, Constant]) -> Any:
    """Return the application; a body that is larger than a piece goes out in pieces, as an export does."""
    text = (b'{"records":[' + b'{"id":"order-1042","source":"checkout"},' * 8_192)[:_BYTES_OF_A_PIECE]
    ready = {}
    for kind, answer in answers.items():
        heads = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        heads.append((b"content-length", str(answer.body_bytes).encode()))
        ready[kind.encode()] = (heads, *divmod(answer.body_bytes, len(text)))

    async def app(scope: Any, _: Any, send: Any) -> None:
        sent = dict(scope["headers"])
        heads, pieces, rest = ready.get(sent.get(b"x-kind", b""), ([], 0, 0))
        status = 304 if b"if-none-match" in sent else 200
        await send({"type": "http.response.start", "status": status, "headers": heads if status == 200 else []})
        if status == 200:
            for _number in range(pieces):
                await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": text[:rest] if status == 200 else b"", "more_body": False})

    return app


def main() -> None:
    """Serve until this process is killed."""
    from granian.constants import Interfaces  # noqa: PLC0415 - the others import this module for `Constant`
    from granian.server.embed import Server  # noqa: PLC0415 - likewise
    from uvloop import run  # noqa: PLC0415 - likewise

    port, path = sys.argv[1:]
    app = application(msgspec.json.decode(Path(path).read_bytes(), type=dict[str, Constant]))
    server = Server(app, port=int(port), interface=Interfaces.ASGI, backlog=4096, websockets=False, log_enabled=False)
    sys.stderr.write(f"ready to answer, process {os.getpid()}\n")
    run(server.serve())


if __name__ == "__main__":
    main()
