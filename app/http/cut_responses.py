"""Why a response stops before its end: the code that cuts it short records it, and `app.telemetry.requests` logs it.

Its last piece is not sent then, so that the server closes the connection and the client notices.
"""

import logging
from typing import Any

CLIENT_LEFT = "the client left"
STOPPING = "the service is stopping"
_STATE = "cut_short"  # in the request's state


def cut_short(scope: Any, reason: str, level: int = logging.WARNING) -> None:
    """Record why the response to the request of `scope` is not completed; the first reason counts."""
    scope.setdefault("state", {}).setdefault(_STATE, (level, reason))


def recorded_reason(scope: Any) -> tuple[int, str] | None:
    """Return the reason and the level to log it at, or None if there is none."""
    reason: tuple[int, str] | None = scope.get("state", {}).get(_STATE)
    return reason
