"""Settings of the server: its address, its roles and its connections."""

from ipaddress import ip_address
from typing import Annotated, Literal

from msgspec import Meta

from app.settings.fields import MIB, Room


class ServerSettings(Room, frozen=True, kw_only=True):
    """Where the process listens, which roles it has, and the limits of its connections."""

    host: Annotated[str, Meta(description="The address to listen on. Beyond loopback, `/v1` requires principals.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        int, Meta(ge=1, le=65535, description="The port to listen on; $PORT applies when this is not set.")
    ] = 8080
    roles: Annotated[
        tuple[Literal["ingest", "query"], ...],
        Meta(min_length=1, description="The endpoints that this instance serves: `ingest`, `query`, or both."),
    ] = ("ingest", "query")

    # Not settings (app.settings.fields).
    max_body_bytes: int = 14 * MIB
    """A larger request body is answered 413. The largest push of Pub/Sub has 13.4 MiB."""
    shutdown_grace_s: float = 8.0
    """How long admitted messages may take after SIGTERM; Cloud Run allows 10 s in all."""
    max_connections: int = 16_384
    """The most open connections, fewer if the limit on open files (`ulimit -n`) is lower; further ones wait."""
    client_stall_s: float = 60.0
    """A client that reads nothing of a response for this long is disconnected, by the kernel."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False
