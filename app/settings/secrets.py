"""The secret settings: they appear neither in logs nor in tracebacks."""

from typing import Annotated

import msgspec
from msgspec import Meta

MIN_SECRET_LENGTH = 16
_HIDDEN = frozenset({"signing_secret", "heartbeat_signature", "cache_url"})  # a URL may contain a password


class SecretSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets, and a representation of all settings that hides them."""

    signing_secret: Annotated[
        str,
        Meta(
            description="Proves that a replay or a heartbeat is ours: `python -m dev replay` and `heartbeat` sign with "
            "it (security.md). At least 16 characters, better 32 random bytes in hexadecimal. Empty: no replay keeps "
            "its delivery key."
        ),
    ] = ""
    heartbeat_signature: Annotated[
        str,
        Meta(
            description="A further signature that proves a heartbeat, and nothing else: Cloud Scheduler's, which "
            "Terraform makes. With neither this nor `SLUICE_SIGNING_SECRET` no message is a heartbeat."
        ),
    ] = ""

    def __repr__(self) -> str:
        """Return the settings as Python shows them, with secrets masked."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> "list[tuple[str, object]]":
        """Return the settings as rich shows them, with secrets masked."""
        return self._shown()

    def _shown(self) -> list[tuple[str, object]]:
        return [
            (name, "…" if name in _HIDDEN and getattr(self, name) else getattr(self, name))
            for name in self.__struct_fields__
        ]


def secret_problems(settings: SecretSettings) -> list[str]:
    """Return the problems of the secrets, without quoting any secret."""
    problems = []
    for name in ("signing_secret", "heartbeat_signature"):
        variable, secret = f"SLUICE_{name.upper()}", getattr(settings, name)
        if secret != secret.strip():
            problems.append(f"{variable} begins or ends with white space, which another holder of it may not have")
        elif 0 < len(secret) < MIN_SECRET_LENGTH:
            problems.append(
                f"{variable} has {len(secret)} characters: at least {MIN_SECRET_LENGTH}, such as "
                "`openssl rand -hex 32` prints"
            )
    return problems
