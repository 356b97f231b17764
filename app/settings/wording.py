"""What to say of a value that a setting cannot have: what it is, and what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect

from app.settings.fields import FORM, SECRET, Room

_QUOTED = 60
"""The most characters of a value that a message repeats."""


class Setting(msgspec.Struct, frozen=True):
    """A setting: its type as declared, and as msgspec reads it."""

    name: str
    declared: Any
    kind: inspect.Type
    form: str
    """What a text must be, in words; "" if any text will do."""

    def refusal(self, value: str | list[str]) -> str:
        """Return why a variable's text, or the items of its list, cannot be the value; "" if they can."""
        try:
            msgspec.convert(value, self.declared, strict=False)
        except msgspec.ValidationError:
            return self._worded(value)
        return ""

    def _worded(self, value: str | list[str]) -> str:
        if isinstance(self.kind, inspect.VarTupleType):
            allowed = _literals(self.kind.item_type)
            if allowed:
                wrong = [item for item in value if item not in allowed]
                return (
                    _not_among(wrong[0], allowed, "each of its items")
                    if wrong
                    else f"expected at least one of {', '.join(allowed)}"
                )
            return f"{_shown(','.join(value))} is not {self.form or 'a list of texts between commas'}"
        text = str(value)
        if allowed := _literals(self.kind):
            return _not_among(text, allowed, "it")
        return f"{'the value' if self.name in SECRET else _shown(text)} is not {self.form or _described(self.kind)}"


def settings_of(rooms: Iterable[type[Room]]) -> dict[str, Setting]:
    """Return every setting of these rooms, by its name: the fields with a description."""
    settings = {}
    for room in rooms:
        hints = get_type_hints(room, include_extras=True)
        kinds = inspect.type_info(room)
        assert isinstance(kinds, inspect.StructType)  # noqa: S101 - a room is a Struct
        for field in kinds.fields:
            if isinstance(field.type, inspect.Metadata):
                form = (field.type.extra or {}).get(FORM, "")
                settings[field.name] = Setting(field.name, hints[field.name], field.type.type, form)
    return settings


def _not_among(wrong: str, allowed: list[str], what: str) -> str:
    nearest = get_close_matches(wrong.lower(), allowed, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{_shown(wrong)} is not allowed: {what} must be {_listed(allowed)}{hint}"


def _literals(kind: inspect.Type) -> list[str]:
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _described(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(kind)}"
        case inspect.FloatType():
            return f"a number{_range(kind)}"
        case inspect.StrType(min_length=least) if least:
            return f"a text of at least {least} characters"
    return "a text"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    above, least, below, most = kind.gt, kind.ge, kind.lt, kind.le
    if least is not None and most is not None:
        return f" from {_number(least)} to {_number(most)}"
    bounds = [
        *([f"above {_number(above)}"] if above is not None else []),
        *([f"of at least {_number(least)}"] if least is not None else []),
        *([f"below {_number(below)}"] if below is not None else []),
        *([f"of at most {_number(most)}"] if most is not None else []),
    ]
    return f" {' and '.join(bounds)}" if bounds else ""


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else f"{value:.0f}"


def _listed(allowed: list[str]) -> str:
    return allowed[0] if len(allowed) == 1 else f"{', '.join(allowed[:-1])} or {allowed[-1]}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…")
