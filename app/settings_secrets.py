"""The settings that nobody may read: they are shown neither in logs nor in tracebacks."""

from typing import Annotated

import msgspec
from msgspec import Meta

MIN_SECRET_LENGTH = 16
_HIDDEN = frozenset({"signing_secret", "cache_url"})  # a URL may hold a password


class SecretSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets, and a representation of all settings that does not show them."""

    signing_secret: Annotated[
        str,
        Meta(
            description="Proves that a heartbeat or a replay is ours: `python -m dev heartbeat` and `replay` and Cloud "
            "Scheduler sign with it (security.md). At least 16 characters, better 32 random bytes in hexadecimal. "
            "Empty: neither attribute has any power."
        ),
    ] = ""

    def __repr__(self) -> str:
        """Return the settings as Python shows them, without what is secret."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> "list[tuple[str, object]]":
        """Return what rich shows of the settings."""
        return self._shown()

    def _shown(self) -> list[tuple[str, object]]:
        return [
            (name, "…" if name in _HIDDEN and getattr(self, name) else getattr(self, name))
            for name in self.__struct_fields__
        ]


def secret_problems(settings: SecretSettings) -> list[str]:
    """Return what is wrong with the secrets, without quoting one."""
    secret = settings.signing_secret
    if not secret:
        return []
    if secret != secret.strip():
        return ["SLUICE_SIGNING_SECRET begins or ends with white space, which another holder of it may not have"]
    if len(secret) < MIN_SECRET_LENGTH:
        return [
            f"SLUICE_SIGNING_SECRET has {len(secret)} characters: at least {MIN_SECRET_LENGTH}, such as "
            "`openssl rand -hex 32` prints"
        ]
    return []
