"""What no start-up of the service can be below: the same server and event loop, and an application that says 200.

`python -m bench.start.bare PORT`
"""

import sys
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


if __name__ == "__main__":
    uvloop.run(Server(app, port=int(sys.argv[1]), interface=Interfaces.ASGINL, websockets=False).serve())
