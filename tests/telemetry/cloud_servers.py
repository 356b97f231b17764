"""Google on this machine: Cloud Trace (gRPC) and the Telemetry API (OTLP). What they are sent is checked and kept."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, Literal

import grpc
from google.cloud.trace_v2 import types as trace
from google.protobuf.empty_pb2 import Empty

from tests.support.http_server import serving_http
from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.otlp_rules import Rules
from tests.telemetry.seen_spans import Seen, seen

Fault = Literal["unavailable", "hang", "permission_denied", "invalid_argument"]
_STATUS = {
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "permission_denied": grpc.StatusCode.PERMISSION_DENIED,
    "invalid_argument": grpc.StatusCode.INVALID_ARGUMENT,
}


class CloudServer:
    """What both services were sent. `fault` is how the calls that come from now on end."""

    def __init__(self) -> None:
        self.url = ""
        """Of Cloud Trace."""
        self.fault: Fault | None = None
        self.exported: list[Any] = []
        """The requests of BatchWriteSpans that were taken."""
        self._release = Event()
        self.otlp = OtlpReceiver(self._met)

    @property
    def rules(self) -> Rules:
        """What the Telemetry API has taken of metrics."""
        return self.otlp.rules

    @property
    def spans(self) -> list[Seen]:
        """The spans that were taken, in the order they began."""
        found = [seen(span) for request in list(self.exported) for span in request.spans]
        return sorted(found, key=lambda span: span.begun_us)

    def span(self, name: str) -> Seen:
        """Return the one span of this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def serialised(self) -> bytes:
        """Return everything that was exported, as it came over the wire."""
        requests = [type(request).serialize(request) for request in self.exported]
        return b"".join([*requests, *self.rules.serialised, *(each.SerializeToString() for each in self.otlp.traces)])

    def release(self) -> None:
        """Answer the calls that hang."""
        self._release.set()

    def batch_write_spans(self, request: trace.BatchWriteSpansRequest, context: grpc.ServicerContext) -> Empty:
        """Take spans."""
        self._meet(context)
        self.exported.append(request)
        return Empty()

    def _meet(self, context: grpc.ServicerContext) -> None:
        fault = self._met()
        if fault == "hang":
            context.abort(grpc.StatusCode.CANCELLED, "the test has ended")
        elif fault is not None:
            context.abort(_STATUS[fault], "as the test wants it")

    def _met(self) -> Fault | None:
        """Return how a call has to end; one that hangs does so here."""
        fault = self.fault
        if fault == "hang":
            self._release.wait()
        return fault


@contextmanager
def serving_cloud() -> Iterator[CloudServer]:
    """Serve both until the block ends."""
    cloud = CloudServer()
    server = grpc.server(ThreadPoolExecutor(32))
    server.add_generic_rpc_handlers(
        (
            _service(
                "google.devtools.cloudtrace.v2.TraceService",
                BatchWriteSpans=(cloud.batch_write_spans, trace.BatchWriteSpansRequest),
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    cloud.url = f"http://127.0.0.1:{port}"
    with serving_http(cloud.otlp.handler()) as cloud.otlp.url:
        try:
            yield cloud
        finally:
            cloud.release()
            server.stop(grace=None).wait()


def _service(name: str, **methods: tuple[Callable[..., Any], Any]) -> grpc.GenericRpcHandler:
    handlers: dict[str, Any] = {
        method: grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=request.deserialize,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        for method, (call, request) in methods.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)
