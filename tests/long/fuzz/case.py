"""A request as data. Tokens and fresh message ids, which only a running service has, are put in when it is sent."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sluice.testing import tokens

MESSAGE_ID = "$message-id"
"""In a body: replaced by an id that no earlier message had."""


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JWT that is signed rightly and then spoilt: claims changed (null removes one), another header, bytes changed.

    `flip` is a place in the text where a letter is replaced, `cut` how much of the text is left, None all.
    """

    claims: Mapping[str, Any] = {}
    flip: int | None = None
    cut: int | None = None
    suffix: str = ""

    def text(self) -> str:
        made = tokens.token(**self.claims)
        if self.flip is not None:
            at = self.flip % (len(made) - 1)  # the last letter has bits that stand for nothing
            made = made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :]
        return made[: self.cut] + self.suffix

    @property
    def is_spoilt(self) -> bool:
        """Whether no such token may ever be taken for good."""
        return self.flip is not None or self.cut is not None or bool(self.suffix)


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A well-formed HTTP request; `caller` is the name of a key's holder, `push` the pusher, empty nobody."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    caller: str = ""
    token: Token | None = None
    holds_records: bool = False
    """Whether a 2xx must leave something: a record or a reject under the message id."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case of the corpus: what was wrong when it was found, and the case."""

    found: str
    case: Asked


def request_bytes(asked: Asked, message_id: str, bearer: Callable[[str], str]) -> bytes:
    """Return a request as it is sent, on a connection of its own; `bearer` returns a caller's token or key."""
    body = asked.body.replace(MESSAGE_ID.encode(), message_id.encode())
    headers = [("Host", "127.0.0.1"), ("Connection", "close"), *asked.headers]
    if asked.token is not None:
        headers.append(("Authorization", f"Bearer {asked.token.text()}"))
    elif asked.caller:
        headers.append(("Authorization", f"Bearer {bearer(asked.caller)}"))
    if body or asked.method == "POST":
        headers.append(("Content-Length", str(len(body))))
    lines = "".join(f"{name}: {value.replace(MESSAGE_ID, message_id)}\r\n" for name, value in headers)
    return f"{asked.method} {asked.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def wrapped(data: bytes, attributes: Mapping[str, Any], changed: Mapping[str, Any]) -> bytes:
    """Return a push's envelope; members of the message are changed by their names, MISSING leaves one out."""
    message: dict[str, Any] = {
        "data": base64.b64encode(data).decode(),
        "messageId": MESSAGE_ID,
        "publishTime": "2026-01-31T12:00:00.123Z",
        "attributes": attributes,
    }
    made = {name: value for name, value in {**message, **changed}.items() if value is not MISSING}
    return msgspec.json.encode({"message": made, "subscription": "projects/p/subscriptions/fuzz"})


MISSING: Any = object()
