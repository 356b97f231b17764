"""Every setting of the service, by room, read once from the environment.

The variable of a setting is its name in upper case after SLUICE_, whatever its room. A name that begins with SLUICE_
and is not a setting is an error, so that a misspelt setting is not silently ignored. Fields without a description are
fixed numbers, not settings (app.settings.fields).
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, get_origin, get_type_hints

import msgspec

from app.settings.auth import AuthSettings
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


_ROOMS = Settings.__struct_fields__
_ROOM_OF = {name: room for room in _ROOMS for name in getattr(Settings(), room).__struct_fields__}
_SETTINGS: dict[str, Any] = {
    name: declared
    for room in _ROOMS
    for name, declared in get_type_hints(type(getattr(Settings(), room)), include_extras=True).items()
    if get_origin(declared) is Annotated
}
"""The declared type of each setting, by its name: those with a description."""
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
    values, problems = dict[str, Any](), list[str]()
    for variable, name, text in _given(environ):
        try:
            values[name] = msgspec.convert(text, _SETTINGS[name], strict=False)
        except msgspec.ValidationError as error:  # it quotes no value but a wrong choice, which no secret is
            about = " ".join(meta.description for meta in _SETTINGS[name].__metadata__ if meta.description)
            problems.append(f"{variable}: {error}. {about}")
    settings = Settings().replace(**values)
    problems = problems or disagreements(settings, environ)
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
