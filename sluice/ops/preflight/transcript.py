"""The file to attach to an issue: requests and findings, without identifying names. Pure.

Names are replaced consistently, so that it can still be seen which of them are equal.
"""

import re
from collections.abc import Callable, Iterable

from app.telemetry.redaction import without_secrets
from app.version import VERSION
from sluice.ops.preflight.finding import text, word
from sluice.ops.preflight.plan import Deployment
from sluice.ops.preflight.runner import Result

_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_HOST = re.compile(r"https?://(?!(?:[\w-]+\.)*(?:googleapis\.com|cloud\.google\.com)\b)[^\s/;,'\"]+")
_CUSTOMER = re.compile(r"\bC0[0-9a-z]{6,9}\b")
_NUMBER = re.compile(r"\b\d{9,}\b")
_HEX = re.compile(r"\b[0-9a-f]{32,}\b")


class Redactor:
    """Replaces names by numbered ones, the same name by the same one."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._names: dict[tuple[str, str], str] = {}

    def redacted(self, line: str) -> str:
        """Return a line without tokens, e-mails, projects, and addresses that are not Google's own."""
        line = without_secrets(line)
        for kind, pattern in (("EMAIL", _EMAIL), ("URL", _HOST), ("CUSTOMER", _CUSTOMER)):
            line = pattern.sub(self._namer(kind), line)
        line = _HEX.sub("…", line)
        # Not only as a word: a bucket's name begins with the project's.
        line = line.replace(self._deployment.project, "PROJECT")
        return _NUMBER.sub(self._namer("NUMBER"), line)

    def _namer(self, kind: str) -> Callable[[re.Match[str]], str]:
        def named(name: re.Match[str]) -> str:
            count = sum(1 for known, _ in self._names if known == kind)
            return self._names.setdefault((kind, name[0]), f"{kind}-{count + 1}")

        return named


def transcript(deployment: Deployment, results: Iterable[Result], when: str) -> str:
    """Return the whole file: one line for each check, and below it its requests."""
    redactor = Redactor(deployment)
    lines = [f"sluice preflight {VERSION}, {when}", f"region {deployment.region}, data in {deployment.location}", ""]
    for result in results:
        lines.append(f"{word(result.finding):<13} {result.check.name}: {text(result.finding)}")
        lines += [f"    {each.status or '---'} {each.request} {each.message}".rstrip() for each in result.asked]
    return "".join(f"{redactor.redacted(line)}\n" for line in lines)
