"""What a document shows: its blocks of code, and whether an answer is the one that it shows."""

import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tests.rules import ROOT

_BLOCK = re.compile(r"^```(\w*)(?: title=\"[^\"]*\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CUT = "…"


class Block(msgspec.Struct, frozen=True):
    """A fenced block: its language and text, and whether it stands right after the one before."""

    language: str
    text: str
    follows: bool


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document."""
    text, end, found = document.read_text(), 0, []
    for match in _BLOCK.finditer(text):
        found.append(Block(match[1], match[2], follows=not text[end : match.start()].strip()))
        end = match.end()
    return found


def code_blocks(document: Path, language: str) -> list[str]:
    """Return the texts of the fenced blocks of a language."""
    return [block.text for block in blocks(document) if block.language == language]


@contextmanager
def readme_module() -> Iterator[types.ModuleType]:
    """Make the README's own record type importable as `orders`, as its `orders.py` is."""
    (code,) = code_blocks(ROOT / "README.md", "python")
    module = sys.modules["orders"] = types.ModuleType("orders")
    try:
        exec(compile(code, "README.md", "exec"), module.__dict__)  # noqa: S102 - the document is ours
        yield module
    finally:
        del sys.modules["orders"]


class Shown:
    """Compares answers with what is shown of them, and remembers what was cut with `…`.

    A text that was cut stands for one that begins so; a cursor, which depends on microseconds, for any longer one.
    Instants are the same within a second.
    """

    def __init__(self) -> None:
        self._whole: dict[str, str] = {}

    def whole(self, text: str) -> str:
        """Return `text` with what was cut put back, as it came in an answer before."""
        for cut, found in self._whole.items():
            text = text.replace(cut, found)
        return text

    def differences(self, shown: Any, found: Any, path: str = "$") -> list[str]:
        """Return where an answer is not the one that is shown."""
        match shown, found:
            case dict(), dict() if list(shown) == list(found):
                return [
                    wrong for name in shown for wrong in self.differences(shown[name], found[name], f"{path}.{name}")
                ]
            case list(), list() if len(shown) == len(found):
                pairs = zip(shown, found, strict=True)
                return [
                    wrong for index, pair in enumerate(pairs) for wrong in self.differences(*pair, f"{path}[{index}]")
                ]
            case str(), str() if self._is_same(shown, found):
                return []
            case _:
                is_equal = type(shown) is type(found) and shown == found
                return [] if is_equal else [f"{path}: shown {shown!r}, found {found!r}"]

    def _is_same(self, shown: str, found: str) -> bool:
        begin, cut, rest = shown.partition(_CUT)
        if cut:
            self._whole[shown] = found
            is_token = re.fullmatch(r'"?[\w-]+', begin)
            return found.endswith(rest) and (len(found) > len(shown) if is_token else found.startswith(begin))
        both = _instant(shown), _instant(found)
        if None not in both:
            return shown[:19] == found[:19]
        return shown == found


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text.endswith("Z") else None
    except ValueError:
        return None
