"""Documents of grants: what they make of a caller, and everything that can be wrong with one."""

from typing import Any

import msgspec
import pytest

from app.auth.grants import DEFAULT_SCOPES, Granted, GrantsError, Principal, read_grants
from app.settings.auth import AuthSettings
from tests.auth.callers import KEY, OTHER_KEY, OWNER, PUSHER, READER, RULES, document, email_grant, key_grant


def test_a_grant_makes_a_principal() -> None:
    """Of an e-mail it is called by that, of a key by the grant's name; filters stand in one order."""
    content = document(
        email_grant(scopes=["rejects", "read"], requests_per_minute=0),
        key_grant(
            scopes=["read", "write"],
            filters={"source": "a"},
            requests_per_minute=7,
            expires="1970-01-01T01:00:00+01:00",
        ),
    )
    grants = read_grants(content, RULES)
    assert grants.by_email[READER] == Granted(Principal(READER, frozenset({"read", "rejects"})))
    (granted,) = grants.by_key.values()
    assert granted == Granted(Principal("partner-a", frozenset({"read", "write"}), (("source", "a"),), 7), expires_us=0)


def test_those_of_the_settings_have_every_scope_and_the_usual_limit() -> None:
    """They stand beside the ones of the file, and so does the limit of whoever's grant says none."""
    grants = read_grants(document(email_grant()), RULES)
    assert set(grants.by_email) == {OWNER, READER}
    assert grants.by_email[OWNER] == Granted(Principal(OWNER, DEFAULT_SCOPES, (), 600))
    assert grants.by_email[READER].principal.requests_per_minute == 600
    unlimited = msgspec.structs.replace(RULES, settings=AuthSettings(requests_per_minute=0))
    assert read_grants(document(email_grant()), unlimited).by_email[READER].principal.requests_per_minute is None


_ENTRY = "grants[1] (partner-a): "
_MISTAKES: dict[str, tuple[Any, str]] = {
    "no identity": (key_grant(name=None, key_sha256=None), "grants[1]: a grant needs either an `email`"),
    "no e-mail address": (email_grant("reader"), "grants[1] (reader): `email` must be an e-mail address"),
    "push principal": (email_grant(PUSHER), f"grants[1] ({PUSHER}): SLUICE_PUSH_PRINCIPALS also lists it"),
    "API principal": (email_grant(OWNER), f"grants[1] ({OWNER}): SLUICE_API_PRINCIPALS also grants it"),
    "e-mail twice": (email_grant(), f"grants[1] ({READER}): grants[0] has the same `email`"),
    "key for a name": (key_grant(name=KEY), "grants[1]: `name` must be"),
    "key for a hash": (key_grant(key_sha256=KEY), _ENTRY + "`key_sha256` must be the SHA-256"),
    "unknown scope": (
        key_grant(scopes=["read", "admin"]),
        "Invalid enum value 'admin' - at `$.grants[1].scopes[1]`",
    ),
    "no scope": (key_grant(scopes=[]), _ENTRY + "`scopes` must list at least one of read, write, rejects"),
    "scope twice": (key_grant(scopes=["read", "read"]), _ENTRY + "`scopes` must list at least one"),
    "unknown filter": (key_grant(filters={"colour": "red"}), _ENTRY + "`filters`: colour: there is no such field"),
    "filters on rejects": (
        key_grant(scopes=["read", "rejects"], filters={"source": "a"}),
        _ENTRY + "`filters` cannot be combined with the scope rejects: a rejected record has no fields to filter by",
    ),
    "no hashed filters, but writes": (
        key_grant(scopes=["read", "write"], hashed_filters=False),
        _ENTRY + "`hashed_filters` = false cannot be combined with the scopes write and erase",
    ),
    "negative limit": (
        key_grant(requests_per_minute=-1),
        _ENTRY + "`requests_per_minute` must be at least 0 (0 means no limit)",
    ),
    "unknown member": (
        key_grant(scope="read"),
        "have the members `email`, `name`, `key_sha256`",
    ),
    "scopes as text": (key_grant(scopes="read"), "Expected `array`, got `str` - at `$.grants[1].scopes`"),
    "expiry without an offset": (key_grant(expires="2027-01-01T00:00:00"), "at `$.grants[1].expires`"),
}


@pytest.mark.parametrize("name", _MISTAKES)
def test_a_mistake_is_told_by_the_entry_it_is_in(name: str) -> None:
    """The message names the entry and says what would be right; no key that was pasted in a wrong place is in it."""
    entry, told = _MISTAKES[name]
    with pytest.raises(GrantsError) as refused:
        read_grants(document(email_grant(), entry), RULES)
    assert told in str(refused.value)
    assert KEY not in str(refused.value)
    assert KEY[:16] not in str(refused.value)


def test_names_and_hashes_stand_once() -> None:
    """Else one of two would be without effect, or one key would be two callers."""
    with pytest.raises(
        GrantsError, match=r"^grants\[1\] \(partner-a\): grants\[0\] has the same `name`; each must be unique"
    ):
        read_grants(document(key_grant(), key_grant(OTHER_KEY)), RULES)
    with pytest.raises(GrantsError, match=r"^grants\[1\] \(b\): grants\[0\] has the same `key_sha256`"):
        read_grants(document(key_grant(), key_grant(name="b")), RULES)
    assert len(read_grants(document(key_grant(), key_grant(OTHER_KEY, name="b")), RULES).by_key) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"grants:\n  - email: a@b.c\n", "expected a JSON document like"),
        (b"[" * 100_000, "expected a JSON document like"),
        (b"{}", "missing required field `grants`"),
        (b'{"grants": [{"%s": 1}]}' % KEY.encode(), "unknown field `sluice_…`"),
    ],
    ids=range(4),
)
def test_what_is_no_such_document_is_refused(content: bytes, told: str) -> None:
    """The message quotes no key."""
    with pytest.raises(GrantsError) as refused:
        read_grants(content, RULES)
    assert told in str(refused.value)
    assert KEY not in str(refused.value)
