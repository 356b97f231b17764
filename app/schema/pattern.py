"""Generate a text that a regular expression matches, for examples: a simple one, the same every time. Pure.

It walks the expression as parsed by Python's own parser: first with the plainest choices everywhere, then with drawn
ones. It ignores constructs that the walk cannot evaluate (a look-ahead, a word boundary), and tests every text against
the expression before returning it. So a wrong guess yields no text, never a wrong one.
"""

import re
import string
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from itertools import chain
from random import Random
from typing import Any

# Python has no public parser, and the type stubs omit these modules.
_constants: Any = import_module("re._constants")
_parser: Any = import_module("re._parser")

_PLAIN = string.ascii_uppercase[:1] + "a1" + string.ascii_letters + string.digits + "-_ ." + string.punctuation
_MOST_REPEATS = 128  # extra repetitions; an id has no more characters
_MOST_CHARACTERS = 10_000
_ALTERNATIVES = 4  # of each `|` to try
_DRAWS = 500  # walks with drawn choices
_DRAWN_REPEATS = 8  # extra repetitions in them, unless the text must be longer
_CATEGORIES = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}


@lru_cache(maxsize=256)  # several examples are made of each type
def matching_text(pattern: str, min_length: int = 0, max_length: int | None = None) -> str | None:
    """Return a text that contains a match of `pattern`, within the lengths; None if none is easily found.

    As in `msgspec`, the pattern is searched for: without anchors it may match anywhere in the text.
    """
    return next(matching_texts(pattern, min_length, max_length), None)


def matching_texts(pattern: str, min_length: int = 0, max_length: int | None = None) -> Iterator[str]:
    """Yield different texts of this kind, as many as are easily found."""
    compiled, parsed = re.compile(pattern), _parser.parse(pattern)
    seen = set[str]()
    try:
        for walk in chain(_plain_walks(min_length), _drawn_walks(min_length)):
            for candidate in _padded(walk.text(parsed), min_length):
                fits = min_length <= len(candidate) and (max_length is None or len(candidate) <= max_length)
                if fits and candidate not in seen:
                    seen.add(candidate)
                    if compiled.search(candidate):
                        yield candidate
    except _TooLongError:
        return


def _plain_walks(min_length: int) -> Iterator["_Walk"]:
    for alternative in range(_ALTERNATIVES):
        for more in range(min(min_length, _MOST_REPEATS) + 1):
            yield _Walk(alternative, more)


def _drawn_walks(min_length: int) -> Iterator["_Walk"]:
    """Yield walks that differ from choice to choice; the same ones every time."""
    draws = Random(0)
    for _ in range(_DRAWS):
        yield _DrawnWalk(draws, max(_DRAWN_REPEATS, min(min_length, _MOST_REPEATS)))


def _padded(text: str, length: int) -> Iterator[str]:
    yield text
    if len(text) < length:
        yield text.ljust(length, "a")
        yield text.rjust(length, "a")


class _TooLongError(Exception):
    """The text would be too long for an example."""


class _Walk:
    """Generates a text from a parsed expression.

    `alternative` selects the branch, and `more` is the number of repetitions above the minimum.
    """

    def __init__(self, alternative: int, more: int) -> None:
        self._alternative, self._more = alternative, more
        self._groups: dict[int | None, str] = {}
        self._left = _MOST_CHARACTERS

    def text(self, items: Any) -> str:
        """Return the text of a sequence of parsed items."""
        return "".join(self._item(*item) for item in items)

    def _item(self, operator: Any, argument: Any) -> str:
        text = ""  # an anchor, a look-around or a condition has no text of its own
        match operator:
            case _constants.LITERAL:
                text = chr(argument)
            case _constants.NOT_LITERAL:
                text = next(each for each in _PLAIN if ord(each) != argument)
            case _constants.ANY:
                text = self._any()
            case _constants.IN:
                text = self._member(argument)
            case _constants.BRANCH:
                text = self.text(self._branch(argument[1]))
            case _constants.SUBPATTERN:
                text = self._groups[argument[0]] = self.text(argument[-1])
            case _constants.MAX_REPEAT | _constants.MIN_REPEAT | _constants.POSSESSIVE_REPEAT:
                text = self._repeated(*argument)
            case _constants.ATOMIC_GROUP:
                text = self.text(argument)
            case _constants.GROUPREF:
                text = self._groups.get(argument, "")
        return text

    def _any(self) -> str:
        return "a"

    def _member(self, members: Any) -> str:
        return next(_members(members))

    def _branch(self, branches: Any) -> Any:
        return branches[min(self._alternative, len(branches) - 1)]

    def _times(self, least: int, most: int) -> int:
        return min(least + self._more, most)

    def _repeated(self, least: int, most: int, items: Any) -> str:
        parts = list[str]()
        for _ in range(self._times(least, most)):
            parts.append(self.text(items))
            self._left -= len(parts[-1]) + 1
            if self._left < 0:
                raise _TooLongError
        return "".join(parts)


class _DrawnWalk(_Walk):
    """A walk in which each choice is drawn."""

    def __init__(self, draws: Random, most: int) -> None:
        super().__init__(0, most)
        self._draws = draws

    def _any(self) -> str:
        return self._draws.choice(_PLAIN)

    def _member(self, members: Any) -> str:
        return self._draws.choice(list(_members(members)))

    def _branch(self, branches: Any) -> Any:
        return self._draws.choice(branches)

    def _times(self, least: int, most: int) -> int:
        return self._draws.randint(least, super()._times(least, most))


def _members(members: Any) -> Iterator[str]:
    """Yield characters of a set: the plain ones, or one if there are none."""
    is_negated = members[0][0] is _constants.NEGATE
    plain = [each for each in _PLAIN if any(_holds(member, each) for member in members) is not is_negated]
    yield from plain
    if not plain:
        code = next((member[1] for member in members if member[0] in {_constants.LITERAL, _constants.RANGE}), ord("a"))
        yield chr(code[0] if isinstance(code, tuple) else code)


def _holds(member: tuple[Any, Any], character: str) -> bool:
    operator, argument = member
    match operator:
        case _constants.LITERAL:
            return character == chr(argument)
        case _constants.RANGE:
            return ord(character) in range(argument[0], argument[1] + 1)
        case _constants.CATEGORY:
            return re.match(_CATEGORIES[argument], character) is not None
        case _:
            return False
