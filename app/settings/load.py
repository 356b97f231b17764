"""Every setting of the service, by room, read once from the environment.

The variable of a setting is its name in upper case after SLUICE_, whatever its room. A name that begins with SLUICE_
and is not a setting is an error, so that a misspelt setting is not silently ignored. Fields without a description are
fixed numbers, not settings (app.settings.fields).
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect

from app.settings.auth import AuthSettings
from app.settings.fields import FORM, SECRET, Room
from app.settings.ingest import IngestSettings
from app.settings.query import QuerySettings
from app.settings.rules import disagreements
from app.settings.server import ServerSettings
from app.settings.store import StoreSettings
from app.settings.telemetry import TelemetrySettings

PREFIX = "SLUICE_"


class SettingsError(Exception):
    """The environment does not contain valid settings; the message names each variable and the correct form."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, with defaults for a laptop."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    ingest: IngestSettings = IngestSettings()
    query: QuerySettings = QuerySettings()
    auth: AuthSettings = AuthSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @property
    def project(self) -> str:
        """The project that receives traces and metrics."""
        return self.store.bigquery_project

    def flat(self) -> dict[str, Any]:
        """Return every value by its name, fixed numbers included."""
        return {name: value for room in _ROOMS for name, value in msgspec.structs.asdict(getattr(self, room)).items()}

    def replace(self, **values: Any) -> "Settings":
        """Return the settings with other values, by name and whatever their rooms. Does not check the values.

        Raises:
            KeyError: a name is neither a setting nor a fixed number.
        """
        rooms = _by_room(values).items()
        return msgspec.structs.replace(
            self, **{room: msgspec.structs.replace(getattr(self, room), **changed) for room, changed in rooms}
        )


class Setting(msgspec.Struct, frozen=True):
    """A setting: its type as declared, and what a text must be, in words; "" if msgspec says it."""

    name: str
    declared: Any
    form: str

    def refusal(self, value: str | list[str]) -> str:
        """Return why a variable's text, or the items of its list, cannot be the value; "" if they can."""
        try:
            msgspec.convert(value, self.declared, strict=False)
        except msgspec.ValidationError as error:
            text = value if isinstance(value, str) else ",".join(value)
            shown = "the value" if self.name in SECRET else repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…")
            return f"{shown} is not allowed: expected {self.form or _in_words(error)}"
        return ""


_QUOTED = 60  # the most characters of a value that a message repeats
_WORDS = {"`int`": "a whole number", "`float`": "a number", "`bool`": "true or false", "`str`": "a text"}


def _in_words(error: msgspec.ValidationError) -> str:
    """Return what msgspec expected, without Python's names of types."""
    expected = str(error).partition(", got")[0].partition(" - at")[0].removeprefix("Expected ")
    for name, words in _WORDS.items():
        expected = expected.replace(name, words)
    return expected


def settings_of(rooms: Iterable[type[Room]]) -> dict[str, Setting]:
    """Return every setting of these rooms, by its name: the fields with a description."""
    settings = {}
    for room in rooms:
        hints = get_type_hints(room, include_extras=True)
        for field in msgspec.structs.fields(room):
            kind = inspect.type_info(hints[field.name])
            if isinstance(kind, inspect.Metadata):
                form = (kind.extra or {}).get(FORM, "") or _choices(kind.type)
                settings[field.name] = Setting(field.name, hints[field.name], form)
    return settings


def _choices(kind: inspect.Type) -> str:
    """Return the values that a setting may have, if they are listed."""
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(map(str, kind.values))
    choices = _choices(kind.item_type) if isinstance(kind, inspect.VarTupleType) else ""
    return choices and f"at least one of {choices}, between commas"


_ROOMS = Settings.__struct_fields__
_ROOM_OF = {name: room for room in _ROOMS for name in getattr(Settings(), room).__struct_fields__}
_SETTINGS = settings_of(type(getattr(Settings(), room)) for room in _ROOMS)
VARIABLES = {PREFIX + name.upper(): name for name in _SETTINGS}
"""The name of each setting, by its variable."""


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`.

    Raises:
        SettingsError: a variable is unknown, has the wrong type, or contradicts another.
    """
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in VARIABLES)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(map(_with_closest, unknown))}; `sluice settings` lists all settings"
        )
    given = list(_given(environ))
    try:
        settings = msgspec.convert(_by_room({name: text for _, name, text in given}), Settings, strict=False)
    except msgspec.ValidationError:
        refusals = [(variable, _SETTINGS[name].refusal(text)) for variable, name, text in given]
        raise SettingsError("; ".join(f"{variable}: {why}" for variable, why in refusals if why)) from None
    problems = disagreements(settings, environ)
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def _given(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str | list[str]]]:
    """Yield the variable, the name and the text of each setting in `environ`; a list as its items."""
    if "PORT" in environ and f"{PREFIX}PORT" not in environ:
        yield "PORT", "port", environ["PORT"]
    defaults = Settings().flat()
    for variable, name in VARIABLES.items():
        if variable in environ:
            text = environ[variable]
            is_list = isinstance(defaults[name], tuple)
            yield variable, name, [item.strip() for item in text.split(",") if item.strip()] if is_list else text


def _by_room(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    rooms: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        rooms.setdefault(_ROOM_OF[name], {})[name] = value
    return rooms


def _with_closest(unknown: str) -> str:
    closest = get_close_matches(unknown.removeprefix(PREFIX).lower(), _SETTINGS, n=1)
    return f"{unknown} (did you mean {PREFIX}{closest[0].upper()}?)" if closest else unknown
