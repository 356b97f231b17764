"""The base of the settings' rooms, and the types that their values share."""

from typing import Annotated

import msgspec
from msgspec import Meta

MIB, GIB, TIB = 1024**2, 1024**3, 1024**4
Seconds = Annotated[float, Meta(gt=0, le=31 * 86_400)]
Count = Annotated[int, Meta(gt=0)]
# A URL may contain a password.
SECRET = frozenset({"pii_secret", "signing_secret", "heartbeat_signature", "cache_url", "cache_secret", "mirror_token"})


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one subject. Their names are unique over all rooms; secrets never show in logs or tracebacks.

    A field with a description is a setting. One without is a number that no deployment changes: no variable sets it,
    and only tests do, through `Settings.replace`.
    """

    def __repr__(self) -> str:
        """Return the settings as Python shows them, with secrets masked."""
        values = msgspec.structs.asdict(self).items()
        shown = (f"{name}={'…' if name in SECRET and value else value!r}" for name, value in values)
        return f"{type(self).__name__}({', '.join(shown)})"
