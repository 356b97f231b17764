"""The caller of a request, and what it may do. Pure."""

from typing import Literal, get_args

import msgspec

Scope = Literal["read", "write", "rejects", "metrics", "erase"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ALL_SCOPES = frozenset(SCOPES)
DEFAULT_SCOPES = ALL_SCOPES - {"erase"}
"""The scopes of SLUICE_API_PRINCIPALS. A scope whose effects cannot be undone must be granted explicitly."""


class Principal(msgspec.Struct, frozen=True):
    """A caller, as the guard leaves it in `connection.state.principal`.

    `filters` are its fixed filters, as raw query parameters such as ("source", "a") or ("country.in", "NO,SE"):
    records that do not match all of them do not exist for it. They apply to reads, not to writes.
    `requests_per_minute` limits its reads; None means no limit. `streams` are those that it may use; None means all.
    Without `hashed_filters` its own filters may not be on hashed fields, as they tell whether a guess is right.
    """

    name: str
    scopes: frozenset[Scope]
    filters: tuple[tuple[str, str], ...] = ()
    requests_per_minute: int | None = None
    streams: frozenset[str] | None = None
    hashed_filters: bool = True

    def may_use(self, stream: str) -> bool:
        """Return whether it may read and write the stream."""
        return self.streams is None or stream in self.streams


LOCAL_PRINCIPAL = Principal("local", ALL_SCOPES)
"""Any caller on the loopback interface, if the service is reachable from nowhere else."""
