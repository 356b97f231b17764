"""The grants in force: read from the settings and SLUICE_GRANTS_FILE, and reloaded when the file changes."""

import asyncio
import hashlib
import logging
from pathlib import Path

from app.auth.grants import GrantRules, GrantsError, make_grants, read_grants, redacted
from app.runtime.clock import Clock
from app.telemetry.logs import QUOTES_NAMES

LOOK_EVERY_S = 10.0
"""How long a grant that was removed from the file may stay in force."""
_log = logging.getLogger("sluice.access")


class GrantsReloader:
    """The current grants; for a TokenVerifier, the container of e-mails that have a grant, expired or not."""

    def __init__(self, path: str, rules: GrantRules) -> None:
        """Read the grants; an empty `path` means no file.

        Raises:
            GrantsError: the file cannot be read, or is wrong.
        """
        self._path, self._rules = path, rules
        self._seen = ""
        self.current = make_grants((), rules)
        if not path:
            return
        try:
            content = Path(path).read_bytes()
            self._seen = _digest(content)
            self.current = read_grants(content, rules)
        except OSError as error:
            raise GrantsError(f"{self._where()} cannot be read: {error.strerror}") from None
        except GrantsError as error:
            raise GrantsError(f"{self._where()}: {error}") from None

    def __contains__(self, email: object) -> bool:
        """Return whether there is a grant for an e-mail."""
        return email in self.current.by_email

    async def watch(self, clock: Clock) -> None:
        """Check the file periodically, forever."""
        while self._path:
            await clock.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Load the grants of a changed file; if it is invalid, keep the current ones and log the reason once.

        Changes are detected by content: a mounted secret changes by a symbolic link. Reading it may be a network
        request (https://cloud.google.com/run/docs/configuring/services/secrets).
        """
        try:
            content = await asyncio.to_thread(Path(self._path).read_bytes)
        except OSError as error:
            self._say(f"unreadable: {error.errno}", f"it cannot be read: {error.strerror}")
            return
        digest = _digest(content)
        if digest == self._seen:
            return
        try:
            self.current = read_grants(content, self._rules)
        except GrantsError as error:
            self._say(digest, str(error))
            return
        self._seen = digest
        names = sorted(granted.principal.name for granted in self.current.all())
        _log.info(
            "reloaded %s: %d callers, %s",
            self._where(),
            len(names),
            ", ".join(names) or "none",
        )

    def _say(self, seen: str, trouble: str) -> None:
        if seen != self._seen:
            self._seen = seen
            _log.error(
                "%s changed but is not usable; the previous grants stay in force: %s",
                self._where(),
                trouble,
                extra=QUOTES_NAMES,
            )

    def _where(self) -> str:
        return f"SLUICE_GRANTS_FILE ({redacted(self._path)})"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
