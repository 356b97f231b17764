"""The service under attack: one that is started for it, with a caller for every part, or one that runs already."""

import ipaddress
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import msgspec

from sluice.testing.instance import Caller, Instance, instance
from tests.attack.plan import Attack

CALLERS = tuple(
    Caller(name, (scope,), requests_per_minute=None)
    for name, scope in (
        ("reader", "read"),
        ("follower", "read"),
        ("attacker-read", "read"),
        ("attacker-read-2", "read"),
        ("attacker-write", "write"),
    )
)
_ASK_WITHIN_S = 10.0


class NotHereError(ValueError):
    """The address is not one of this machine; only these may be attacked."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Where the service is and who calls it; `pid` and `own` are of a service that can be looked into."""

    url: str
    tokens: Mapping[str, str]
    pid: int | None = None
    own: Instance | None = None


@contextmanager
def started(folder: Path, attack: Attack) -> Iterator[Scene]:
    """Run a service with default limits for one attack, but for how long a client may read nothing."""
    settings = {"client_stall_s": f"{attack.stall_s:g}"} if attack.stall_s is not None else {}
    with instance(folder, CALLERS, **settings) as running:
        yield Scene(url=running.url, tokens={**running.keys, "push": running.push_token}, pid=running.pid, own=running)


def found(url: str, tokens_file: Path | None, issuer: str | None, pid: int | None) -> Scene:
    """Return a service that runs already, on this machine.

    `tokens_file` is JSON, caller -> bearer token; a caller without one sends none. The pushes' token may come from a
    local `issuer` (`sluice pubsub`) instead.

    Raises:
        NotHereError: the service or the issuer is not at a loopback address.
        OSError: the file or the issuer cannot be read.
    """
    require_loopback(url)
    tokens = {} if tokens_file is None else msgspec.json.decode(tokens_file.read_bytes(), type=dict[str, str])
    if issuer is not None:
        require_loopback(issuer)
        tokens["push"] = _ask_issuer(issuer)
    everybody = dict.fromkeys([*(caller.name for caller in CALLERS), "push"], "")
    return Scene(url=url.rstrip("/"), tokens=everybody | tokens, pid=pid)


def require_loopback(url: str) -> None:
    """Refuse an address that is not this machine's own.

    Raises:
        NotHereError: the host is neither `localhost` nor a loopback address, or the scheme is not http.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if parts.scheme != "http" or not here:
        raise NotHereError(f"{url}: only a service at http://127.0.0.1, http://[::1] or http://localhost is attacked")


def missing_from_store(folder: Path, message_ids: Sequence[str]) -> list[str]:
    """Return those messages of which neither a record nor a reject is in a store that nobody has open."""
    if not message_ids:
        return []
    with duckdb.connect(str(folder / "sluice.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT message_id FROM records UNION SELECT DISTINCT message_id FROM records_rejected"
        ).fetchall()
    stored = {row[0] for row in rows}
    return [each for each in message_ids if each not in stored]


def _ask_issuer(issuer: str) -> str:
    request = urllib.request.Request(  # noqa: S310 - a loopback http address, checked by the caller
        f"{issuer.rstrip('/')}/token", data=b"{}", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=_ASK_WITHIN_S) as response:  # noqa: S310 - likewise
        token: str = msgspec.json.decode(response.read())["token"]
        return token


def stamp() -> str:
    """Return a name for this run that no earlier one had."""
    return f"neighbour{int(time.time() * 1_000):x}"
