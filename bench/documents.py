"""Documents whose tables are made by a script: each stands between two marks of its name."""

from collections.abc import Callable, Iterable, Mapping


def between_marks(text: str, name: str, made: str, lines: Iterable[str]) -> str:
    """Return `text` with `lines` between the marks of `name`; `made` is what its first mark says of their origin.

    Raises:
        ValueError: the text has no such marks.
    """
    begin, end = f"<!-- {name}: made {made} -->\n", f"<!-- end of {name} -->"
    before, after = text.index(begin) + len(begin), text.index(end)
    return text[:before] + "\n".join(lines) + "\n" + text[after:]


def tables_made(text: str, made: str, tables: Mapping[str, Callable[[], Iterable[str]]]) -> str:
    """Return `text` with each of `tables`, by the name of its marks, made anew.

    Raises:
        ValueError: the text has no place for a table.
    """
    for name, make in tables.items():
        text = between_marks(text, name, made, make())
    return text


def head(*names: str) -> list[str]:
    """Return the first two lines of a table."""
    return [row(*names), row(*("---" for _ in names))]


def row(*cells: str) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"
