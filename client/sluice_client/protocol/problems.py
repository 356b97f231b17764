"""Problem documents (RFC 9457), and the text of one for people."""

from collections.abc import Mapping
from typing import Any

import msgspec

_SHOWN_CHARACTERS = 300


class Fault(msgspec.Struct, frozen=True):
    """One parameter or field that is wrong: its name, the message, and what would be right."""

    name: str
    message: str = ""
    example: Any = None


class Problem(msgspec.Struct, frozen=True):
    """A refusal. `code` is stable (`GET /v1/problems`); "" if it comes from something before the service."""

    status: int
    code: str = ""
    title: str = ""
    detail: str = ""
    errors: tuple[Fault, ...] = ()
    members: Mapping[str, Any] = {}

    @property
    def text(self) -> str:
        """Status, code, and what the service says about it."""
        parts = [self.title, self.detail] if self.detail != self.title else [self.title]
        parts += [f"{each.name}: {each.message}" for each in self.errors if each.message not in self.detail]
        name = f"{self.status} {self.code}".strip()
        return ": ".join([name, *(each for each in parts if each)])


def problem_of(status: int, content: bytes) -> Problem:
    """Decode the body of a refusal; one that is no problem document is shown as it is."""
    try:
        members = msgspec.json.decode(content, type=dict[str, Any])
        return msgspec.structs.replace(
            msgspec.convert(members | {"status": status, "members": {}}, Problem), members=members
        )
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = " ".join(content.decode(errors="replace").split())
        return Problem(status, title="the answer is not a problem document", detail=text[:_SHOWN_CHARACTERS])
