"""Who a request comes from, and what it may do. Pure."""

from typing import Literal, get_args

import msgspec

Scope = Literal["read", "write", "rejects", "metrics", "erase"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ALL_SCOPES = frozenset(SCOPES)
DEFAULT_SCOPES = ALL_SCOPES - {"erase"}
"""What SLUICE_API_PRINCIPALS may do. What cannot be undone, somebody has to grant by its name."""


class Principal(msgspec.Struct, frozen=True):
    """A caller, as the guard leaves it in `connection.state.principal`.

    `filters` are its fixed filters, as raw query parameters such as ("source", "a") or ("country.in", "NO,SE"):
    records that do not meet them all do not exist for it. They govern reading, not writing.
    `requests_per_minute` limits what it reads; None is no limit.
    """

    name: str
    scopes: frozenset[Scope]
    filters: tuple[tuple[str, str], ...] = ()
    requests_per_minute: int | None = None


LOCAL_PRINCIPAL = Principal("local", ALL_SCOPES)
"""Whoever shares the loopback interface, where nobody else can call."""
