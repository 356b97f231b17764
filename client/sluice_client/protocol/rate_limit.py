"""The headers that say when to ask again: `Retry-After`, and `RateLimit` of the IETF draft (docs/access.md).

    RateLimit: "default";r=0;t=37

`r` is the rest of a quota, `t` the seconds until all of it is available again.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_ENTRY = re.compile(r'"[^"]*"(?:\s*;\s*[\w*.-]+=[^;,]*)*')
_PARAMETER = re.compile(r";\s*([\w*.-]+)=(\d+)")


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """Return how long the service asks to be left alone, in either form of the header; 0 if it does not ask."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max((at.astimezone(UTC) - (now or datetime.now(UTC))).total_seconds(), 0.0)


def exhausted_for_s(headers: Mapping[str, str]) -> float:
    """Return for how long the next request would be refused: 0 while something is left of every quota."""
    longest_s = 0.0
    for entry in _ENTRY.findall(headers.get("ratelimit", "")):
        members = {name: int(value) for name, value in _PARAMETER.findall(entry)}
        if members.get("r") == 0:
            longest_s = max(longest_s, float(members.get("t", 0)))
    return longest_s
