"""Google's Telemetry API on this machine: OTLP over HTTP that demands credentials, and keeps what it takes.

Tokens come from where they do on Cloud Run: the metadata server, which is here too, as far as it is asked.
"""

import gzip
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.telemetry.otlp_rules import RuleError, Rules

PROJECT, REGION = "p", "europe-west1"
ACCOUNT = "p.svc.id.goog"  # not the form of an address: google-auth would ask Google where its tokens are allowed
_STATUS = {"unavailable": 503, "permission_denied": 403, "invalid_argument": 400}


class OtlpReceiver:
    """Serves until `stop`. `meet` is called before each export; it returns the fault that the export ends with."""

    def __init__(self, meet: Callable[[], str | None], done: Callable[[], None]) -> None:
        self.rules = Rules(PROJECT)
        self.traces: list[ExportTraceServiceRequest] = []
        self.unauthorized: list[str] = []
        """Why requests were refused before they were read."""
        self.tokens: set[str] = set()
        """Tokens that are valid; take one away, and it has expired."""
        self.has_tokens = True
        self._meet, self._done = meet, done
        self._lock = threading.Lock()
        handler = type("_Bound", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def environment(self, folder: Path) -> dict[str, str]:
        """Return what makes this server the metadata server of a process, and the only source of credentials."""
        return {
            "GCE_METADATA_HOST": self.address,
            "GCE_METADATA_IP": self.address,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "CLOUDSDK_CONFIG": str(folder),
        }

    def lend_credentials(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make this server the only source of credentials of this process and of those that it starts."""
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        for name, value in self.environment(folder).items():
            patch.setenv(name, value)
        # What google-auth read of the environment at its import.
        patch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", self.address)
        patch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", False)

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()

    def new_token(self) -> dict[str, Any]:
        """Return the answer of the token endpoint."""
        token = secrets.token_hex(8)
        self.tokens.add(token)
        return {"access_token": token, "expires_in": 3_600, "token_type": "Bearer"}

    def refusal(self, headers: Any) -> tuple[int, str] | None:
        """Return why a request with these headers is not even read."""
        if headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, "no valid token"
        if headers.get("x-goog-user-project") != PROJECT:
            return 403, f"the quota project is {headers.get('x-goog-user-project')}"
        if headers.get("Content-Type") != "application/x-protobuf":
            return 415, f"a body of {headers.get('Content-Type')}"
        return None

    def take(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:
        """Take an export, and return the status and the text of the answer."""
        fault = self._meet()
        if fault is not None:
            return _STATUS.get(fault, 499), "as the test wants it"
        refusal = self.refusal(headers)
        with self._lock:
            try:
                if refusal is not None:
                    self.unauthorized.append(refusal[1])
                    return refusal
                if path == "/v1/traces":
                    self.traces.append(ExportTraceServiceRequest.FromString(body))
                    return 200, ""
                self.rules.write(ExportMetricsServiceRequest.FromString(body))
            except RuleError as error:
                self.rules.refused.append(str(error))
                return 400, str(error)
            finally:
                self._done()
        return 200, ""


class _Handler(BaseHTTPRequestHandler):
    receiver: ClassVar[OtlpReceiver]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/computeMetadata/v1/")
        if self.headers.get("Metadata-Flavor") != "Google":
            self._answer(403, b"", "text/plain")
        elif path == "instance/region":
            self._answer(200, f"projects/1/regions/{REGION}".encode(), "application/text")
        elif path.endswith("/token") and not self.receiver.has_tokens:
            self._answer(503, b"", "text/plain")
        elif path in {f"instance/service-accounts/{account}/token" for account in ("default", ACCOUNT)}:
            self._answer(200, json.dumps(self.receiver.new_token()).encode(), "application/json")
        elif path in {f"instance/service-accounts/{account}/" for account in ("default", ACCOUNT)}:
            told = {"email": ACCOUNT, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
            self._answer(200, json.dumps(told).encode(), "application/json")
        else:
            self._answer(404 if path != "/" else 200, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with suppress(BrokenPipeError):  # a client that the test has ended
            self._post(body)

    def _post(self, body: bytes) -> None:
        if self.path in {"/v1/traces", "/v1/metrics"}:
            status, text = self.receiver.take(self.path, self.headers, body)
            self._answer(status, b"" if status == 200 else text.encode(), "application/x-protobuf")
        else:
            self._answer(404, b"", "text/plain")

    def _answer(self, status: int, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Metadata-Flavor", "Google")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""
