"""The next step: FastAPI under uvicorn, each message a request of its own on an `AppendRowsStream`.

    python -m bench.today.fastapi_append_rows --port 8080 --store http://127.0.0.1:9060 --keys-url URL --audience sluice

The appending follows "Stream data using the Storage Write API" (https://cloud.google.com/bigquery/docs/
write-api-streaming, default stream, Python): a message class of the table's columns, one stream for all, one `send` a
message (`append_stream`). The handler follows FastAPI's tutorial: models of what arrives, checked before it runs. One
process with uvloop and httptools, without a log of requests: that is the best for one core.
"""

# What is not in the development group is typed where it is installed, and Any elsewhere.
# mypy: disable-error-code="import-not-found, import-untyped"
# mypy: allow-subclassing-any, allow-untyped-decorators

import argparse
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Response
from pydantic import BaseModel, TypeAdapter

from bench.today.append_stream import AppendStream, row
from bench.today.id_token import InvalidTokenError, Verifier, add_arguments


class Message(BaseModel):
    """A Pub/Sub message in a push."""

    data: str
    message_id: str
    publish_time: datetime
    attributes: dict[str, str] = {}


class Envelope(BaseModel):
    """The body of a push."""

    message: Message
    subscription: str


class Record(BaseModel):
    """What a message carries."""

    id: str
    timestamp: datetime
    source: str | None = None
    data: Any = None


def make_app(options: argparse.Namespace) -> FastAPI:
    """Return the application."""
    verifier, records = Verifier(options), TypeAdapter(list[Record])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AppendStream.open(options.store) as app.state.stream:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {}

    @app.post("/pubsub/push", status_code=204)
    async def push(envelope: Envelope, authorization: Annotated[str | None, Header()] = None) -> Response:
        try:
            verifier.verify(authorization)
        except InvalidTokenError as error:
            raise HTTPException(401, str(error)) from None
        data = base64.b64decode(envelope.message.data)
        several = records.validate_json(data) if data.startswith(b"[") else [Record.model_validate_json(data)]
        await app.state.stream.append([row(each.id, each.timestamp, each.source, each.data) for each in several])
        return Response(status_code=204)

    return app


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.today.fastapi_append_rows")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", required=True, help="the address of BigQuery's Storage Write API")
    add_arguments(parser)
    options = parser.parse_args()
    uvicorn.run(
        make_app(options),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        proxy_headers=False,
        log_level="error",
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
