"""Grants: who may do what, parsed strictly from a JSON document (docs/access.md shows one). Pure."""

import hashlib
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from app.runtime.instants import epoch_us
from app.schema.table import RECORDS
from app.settings.auth import AuthSettings
from app.settings.load import SettingsError

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


CheckFilters = Callable[[str, Sequence[tuple[str, str]]], object]
"""Raises ValueError with the reason if the stream has no such filter; its return value is ignored."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_HASH = re.compile(r"[0-9a-f]{64}")


class GrantsError(SettingsError):
    """The grants are not valid; the message names each wrong entry and the correct form, and contains no key."""


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An entry as it is written: for an `email` of a Google account, or for the API key of `name`."""

    email: str | None = None
    name: str | None = None
    key_sha256: str | None = None
    scopes: tuple[Scope, ...] = ()
    filters: dict[str, str] = {}
    hashed_filters: bool = True
    streams: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    expires: Annotated[datetime, Meta(tz=True)] | None = None


class GrantsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document."""

    grants: tuple[Grant, ...]


class Granted(msgspec.Struct, frozen=True):
    """A grant in force: the caller's Principal, and when it expires (microseconds since the Unix epoch)."""

    principal: Principal
    expires_us: int | None = None


class Grants(msgspec.Struct, frozen=True):
    """All grants, by e-mail and by the hash of the API key."""

    by_email: Mapping[str, Granted]
    by_key: Mapping[str, Granted]

    def all(self) -> list[Granted]:
        """Return each grant once."""
        return [*self.by_email.values(), *self.by_key.values()]


class GrantRules(msgspec.Struct, frozen=True, kw_only=True):
    """What grants are checked against; `streams` are the names of all streams."""

    settings: AuthSettings = AuthSettings()
    streams: Collection[str] = (RECORDS,)
    check_filters: CheckFilters


def read_grants(content: bytes, rules: GrantRules) -> Grants:
    """Read a document of grants; add those in SLUICE_API_PRINCIPALS, with every scope except `erase`.

    Raises:
        GrantsError: an entry is wrong; the message names the first one, and all that is wrong with it.
    """
    return make_grants(_decoded(content).grants, rules)


def with_entry(content: bytes, entry: Grant, rules: GrantRules) -> bytes:
    """Return a document with one more entry, formatted.

    Raises:
        GrantsError: an entry is wrong, in the document or because of the added one.
    """
    entries = (*_decoded(content).grants, entry)
    make_grants(entries, rules)
    return msgspec.json.format(msgspec.json.encode(GrantsDocument(entries))) + b"\n"


def make_grants(entries: Sequence[Grant], rules: GrantRules) -> Grants:
    """Check the entries against `rules` and each other; return the grants in force.

    Raises:
        GrantsError: an entry is wrong; the message names the first one, and all that is wrong with it.
    """
    taken: dict[str, int] = {}
    for index, grant in enumerate(entries):
        faults = [*_identity_problems(grant, rules), *_extent_problems(grant, rules)]
        for member in ("email", "name", "key_sha256"):
            value = getattr(grant, member)
            first = taken.setdefault(f"{member} {value}", index) if value is not None else index
            if first != index:
                faults.append(f"grants[{first}] has the same `{member}`; each must be unique")
        if faults:
            raise GrantsError(redacted(f"{_label(index, grant)}: {'; '.join(faults)}"))
    default = rules.settings.requests_per_minute
    by_email = {
        email: Granted(Principal(email, DEFAULT_SCOPES, (), default or None)) for email in rules.settings.api_principals
    }
    by_email |= {grant.email: _granted(grant, default) for grant in entries if grant.email is not None}
    by_key = {grant.key_sha256: _granted(grant, default) for grant in entries if grant.key_sha256 is not None}
    return Grants(by_email, by_key)


def _granted(grant: Grant, default_limit: int) -> Granted:
    limit = default_limit if grant.requests_per_minute is None else grant.requests_per_minute
    principal = Principal(
        name=grant.email or grant.name or "",
        scopes=frozenset(grant.scopes),
        filters=tuple(sorted(grant.filters.items())),  # equal filters, however written, share cache entries
        hashed_filters=grant.hashed_filters,
        requests_per_minute=limit or None,
        streams=None if grant.streams is None else frozenset(grant.streams),
    )
    return Granted(principal, None if grant.expires is None else epoch_us(grant.expires))


def _identity_problems(grant: Grant, rules: GrantRules) -> list[str]:
    if (grant.email is None) == (grant.name is None) or (grant.name is None) != (grant.key_sha256 is None):
        return ["a grant needs either an `email`, or a `name` and a `key_sha256` for an API key"]
    if grant.email is not None:
        if not _EMAIL.fullmatch(grant.email):
            return ["`email` must be an e-mail address, exactly as in the token"]
        if grant.email in rules.settings.push_principals:
            return ["SLUICE_PUSH_PRINCIPALS also lists it: a push principal may only push"]
        if grant.email in rules.settings.api_principals:
            return ["SLUICE_API_PRINCIPALS also grants it every scope except erase: name it in one place only"]
        return []
    problems = []
    if not _is_name(grant.name):
        problems.append(
            "`name` must be 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`, begin with a letter or digit, "
            "and not be a key"
        )
    if not _HASH.fullmatch(grant.key_sha256 or ""):
        problems.append(
            "`key_sha256` must be the SHA-256 of the key as 64 lower-case hexadecimal digits, as `sluice "
            "key` writes it (not the key itself)"
        )
    return problems


def _extent_problems(grant: Grant, rules: GrantRules) -> list[str]:
    problems = []
    if not grant.scopes or len(set(grant.scopes)) != len(grant.scopes):
        problems.append(f"`scopes` must list at least one of {', '.join(SCOPES)}, each once")
    wrong_streams = _stream_problems(grant, rules)
    problems += wrong_streams
    if grant.filters and "rejects" in grant.scopes:
        problems.append(
            "`filters` cannot be combined with the scope rejects: a rejected record has no fields to filter by"
        )
    elif grant.filters and "erase" in grant.scopes:
        problems.append("`filters` cannot be combined with the scope erase: an erasure deletes every version")
    elif grant.filters and not wrong_streams:
        problems += _filter_problems(grant, rules)
    if not grant.hashed_filters and not {"write", "erase"}.isdisjoint(grant.scopes):
        problems.append(
            "`hashed_filters` = false cannot be combined with the scopes write and erase: whoever stores or erases a "
            "guess learns its hash"
        )
    if grant.requests_per_minute is not None and grant.requests_per_minute < 0:
        problems.append("`requests_per_minute` must be at least 0 (0 means no limit)")
    return problems


def _stream_problems(grant: Grant, rules: GrantRules) -> list[str]:
    if grant.streams is None:
        return []
    unknown = [name for name in grant.streams if name not in rules.streams]
    if not grant.streams or unknown:
        named = ", ".join(repr(name[:64]) for name in unknown) or "none"
        return [f"`streams` names {named}: expected at least one of {', '.join(rules.streams)}, or no such member"]
    return []


def _filter_problems(grant: Grant, rules: GrantRules) -> list[str]:
    """Return what is wrong with the filters, which must exist in every stream that the grant opens."""
    several = len(rules.streams) > 1
    for stream in rules.streams if grant.streams is None else grant.streams:
        try:
            rules.check_filters(stream, sorted(grant.filters.items()))
        except ValueError as error:
            return [f"`filters`{f', in the stream {stream}' if several else ''}: {error}"]
    return []


def _is_name(name: str | None) -> bool:
    return name is not None and bool(_NAME.fullmatch(name)) and not name.startswith(PREFIX)


def _label(index: int, grant: Grant) -> str:
    shown = grant.email[:128] if grant.email else grant.name if _is_name(grant.name) else None
    return f"grants[{index}]" + (f" ({shown})" if shown else "")


def _decoded(content: bytes) -> GrantsDocument:
    try:
        return msgspec.json.decode(content, type=GrantsDocument)
    except (ValueError, RecursionError) as error:  # a DecodeError, or text that is not UTF-8
        known = ", ".join(f"`{name}`" for name in Grant.__struct_fields__)
        raise GrantsError(
            redacted(f'expected a JSON document like {{"grants": []}}, whose grants have the members {known}: {error}')
        ) from None


PREFIX = "sluice_"
_RANDOM_BYTES = 32  # 43 characters of base64url
_LIKE_A_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{8,}")


def new_key() -> str:
    """Return a new key: `sluice_` and 43 characters of base64url."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def is_key(token: str) -> bool:
    """Return whether a bearer token is meant as an API key; a JWT never is, as it begins with the base64url of `{`."""
    return token.startswith(PREFIX)


def key_hash(key: str) -> str:
    """Return the hash under which a key is stored: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def redacted(text: str) -> str:
    """Return `text` with anything that looks like a key masked, for messages that may be pasted elsewhere."""
    return _LIKE_A_KEY.sub(f"{PREFIX}…", text)
