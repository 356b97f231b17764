"""Settings of the connections that the service accepts."""

from typing import Annotated

from msgspec import Meta

from app.settings.messages import MessageSettings


class ConnectionSettings(MessageSettings, frozen=True, kw_only=True):
    """How many connections there may be, and how long one may go unread; see Settings."""

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
