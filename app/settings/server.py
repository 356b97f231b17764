"""Settings of the server: its address, its roles and its connections."""

from ipaddress import ip_address
from typing import Annotated, Literal

from msgspec import Meta

from app.settings.room import MIB, Count, Room, Seconds


class ServerSettings(Room, frozen=True, kw_only=True):
    """Where the process listens, which roles it has, and the limits of its connections."""

    host: Annotated[str, Meta(description="Address to listen on. Beyond loopback, the API needs principals.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on; $PORT counts when this is not set.")] = (
        8080
    )
    roles: Annotated[
        tuple[Literal["ingest", "query"], ...],
        Meta(min_length=1, description="Which endpoints this instance serves: `ingest`, `query`, or both."),
    ] = ("ingest", "query")
    shutdown_grace_s: Annotated[
        Seconds,
        Meta(description="After SIGTERM, how long admitted messages may take; Cloud Run gives 10 s in all."),
    ] = 8.0
    max_connections: Annotated[
        int,
        Meta(
            ge=16,
            le=65_536,
            description="Connections at once, fewer where the limit on open files (`ulimit -n`) is lower. When three "
            "quarters of them are taken, idle ones are closed to make room (Linux).",
        ),
    ] = 16_384
    client_stall_s: Annotated[
        float,
        Meta(gt=0, le=3_600, description="A client that reads nothing of an answer for this long is cut off."),
    ] = 30.0
    max_body_bytes: Annotated[
        Count, Meta(description="A larger request body is answered 413. Pub/Sub's largest push is 13.4 MiB.")
    ] = 14 * MIB
    max_large_answer_bytes: Annotated[
        Count,
        Meta(
            description="Memory for answers above 32 KiB, exports and tails being sent, three quarters of it for one "
            "caller; one more is answered 429. What needs no token has a quarter as much of its own, by address."
        ),
    ] = 64 * MIB
    run_book_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s#]+)?$",
            description="Where people read docs/operations.md: the page at `/` links to its headings. Empty: the page "
            "names the file only.",
        ),
    ] = ""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False
