"""The tutorial: a Flask handler that calls `insert_rows_json` for each message, under gunicorn.

    python -m bench.today.flask_insert_rows --port 8080 --store http://127.0.0.1:9050 --keys-url URL --audience sluice

It follows two of Google's pages: the handler is that of "Use Pub/Sub with Cloud Run"
(https://cloud.google.com/run/docs/tutorials/pubsub), the insert that of "Use the legacy streaming API"
(https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery), and gunicorn is started as Cloud Run's samples
do, with one worker, threads and no time-out. It is kinder than they are in two things: the client is made once, and
there are as many threads as suit it best. With `--tuned-client` it is what someone makes of it who has looked into the
client, too: its pool of connections is as large as that of the threads (of the ten that it has otherwise, connections
beyond are opened for a request each), and no proxy and no .netrc are looked for at each request.

Tried on one core, with 512 messages in flight and a store that takes 20 ms: the samples' 8 threads use half to two
thirds of the core and more of it for each message; 16 use nearly all of it, and with the client as it is 32 and 64 take
1 to 6 % fewer messages for it; with the tuned one 32 take a tenth more than 64, and 128 a third fewer. 2 workers of 16
or 32, 4 of 8 or 16 and 8 of 8 take fewer. A store that takes 100 ms needs 128. Five sixths of the time are
`insert_rows_json`.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
# mypy: allow-subclassing-any, allow-untyped-decorators, allow-untyped-calls

import argparse
import base64
import json
from typing import Any

from flask import Flask, request
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery
from gunicorn.app.base import BaseApplication
from requests.adapters import HTTPAdapter

from bench.today.id_token import InvalidTokenError, Verifier, add_arguments

TABLE = "p.d.records"
WORKERS, THREADS = 1, 16
_KEEP_ALIVE_S = 75
_MAX_CONNECTIONS = 4_096  # more than any load opens: gunicorn closes those beyond


def bigquery_client(store: str, tuned_for: int | None) -> bigquery.Client:
    """Return a client of the address `store` as it is made by itself, or tuned for so many threads."""
    session = None
    if tuned_for is not None:
        session = AuthorizedSession(AnonymousCredentials())
        session.trust_env = False
        session.mount("http://", HTTPAdapter(pool_maxsize=tuned_for))
    return bigquery.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": store}, _http=session
    )


def make_app(options: argparse.Namespace) -> Flask:
    """Return the application."""
    app = Flask(__name__)
    client = bigquery_client(options.store, options.threads if options.tuned_client else None)
    verifier = Verifier(options)

    @app.get("/health/ready")
    def ready() -> tuple[str, int]:
        return "", 200

    @app.post("/pubsub/push")
    def push() -> tuple[str, int]:
        try:
            verifier.verify(request.headers.get("Authorization"))
        except InvalidTokenError as error:
            return f"Invalid token: {error}\n", 401
        envelope = request.get_json()
        if not isinstance(envelope, dict) or "message" not in envelope:
            return "Bad Request: invalid Pub/Sub message format\n", 400
        record = json.loads(base64.b64decode(envelope["message"]["data"]))
        errors = client.insert_rows_json(TABLE, record if isinstance(record, list) else [record])
        if errors:
            return f"{errors}\n", 500
        return "", 204

    return app


class Gunicorn(BaseApplication):
    """Runs the application in threads."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Set up gunicorn."""
        settings = {
            "bind": f"127.0.0.1:{self._options.port}",
            "worker_class": "gthread",
            "workers": self._options.workers,
            "threads": self._options.threads,
            "worker_connections": _MAX_CONNECTIONS,
            "keepalive": _KEEP_ALIVE_S,
            "timeout": 0,
            "graceful_timeout": 1,
            "loglevel": "error",
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application, in the worker."""
        return make_app(self._options)


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.today.flask_insert_rows")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", required=True, help="the address of BigQuery's REST interface")
    parser.add_argument("--workers", type=int, default=WORKERS, help="processes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of each (default: %(default)s)")
    parser.add_argument("--tuned-client", action="store_true", help="a pool for all threads, and no look at proxies")
    add_arguments(parser)
    Gunicorn(parser.parse_args()).run()


if __name__ == "__main__":
    main()
