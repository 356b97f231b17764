"""Google's Telemetry API on this machine: OTLP over HTTP that demands credentials, and keeps what it takes.

Tokens come from where they do on Cloud Run: the metadata server, which is here too, as far as it is asked.
"""

import gzip
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.http_server import Handler
from tests.telemetry.otlp_rules import RuleError, Rules

PROJECT, REGION = "p", "europe-west1"
ACCOUNT = "p.svc.id.goog"  # not the form of an address: google-auth would ask Google where its tokens are allowed
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_STATUS = {"unavailable": 503, "permission_denied": 403, "invalid_argument": 400}


class OtlpReceiver:
    """What both are asked and sent: `url` is where `handler` is served.

    `meet` is called before each export; it returns the fault that the export ends with.
    """

    def __init__(self, meet: Callable[[], str | None]) -> None:
        self.rules = Rules(PROJECT)
        self.traces: list[ExportTraceServiceRequest] = []
        self.unauthorized: list[str] = []
        """Why requests were refused before they were read."""
        self.tokens: set[str] = set()
        """Tokens that are valid; take one away, and it has expired."""
        self.has_tokens = True
        self._meet = meet
        self._lock = threading.Lock()
        self.url = ""

    def lend_credentials(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make this server the only source of credentials of this process and of those that it starts."""
        address = self.url.removeprefix("http://")
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        for name, value in {
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "CLOUDSDK_CONFIG": str(folder),
        }.items():
            patch.setenv(name, value)
        # What google-auth read of the environment at its import.
        patch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", address)
        patch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", False)

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
        return 200, ""

    def handler(self) -> type[Handler]:
        """Return what answers as both servers."""
        receiver = self

        class Google(Handler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0].removeprefix("/computeMetadata/v1/")
                account, _, member = path.removeprefix("instance/service-accounts/").partition("/")
                if path == "instance/region":
                    self._tell(f"projects/1/regions/{REGION}")
                elif member == "token" and not receiver.has_tokens:
                    self._tell("", 503)
                elif account not in {"default", ACCOUNT}:
                    self._tell("", 200 if path == "/" else 404)
                elif member == "token":
                    self._tell(json.dumps(receiver.new_token()))
                else:
                    self._tell(json.dumps({"email": ACCOUNT, "scopes": [SCOPE]}))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, text = receiver.take(self.path, self.headers, body)
                with suppress(BrokenPipeError):  # a client that the test has ended
                    self.reply(text.encode(), "application/x-protobuf", status)

            def _tell(self, text: str, status: int = 200) -> None:
                kind = "application/json" if text.startswith("{") else "application/text"
                self.reply(text.encode(), kind, status, Metadata_Flavor="Google")

        return Google
