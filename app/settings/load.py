"""Every setting of the service, by room, read once from the environment.

The variable of a setting is its name in upper case after SLUICE_, whatever its room. A name that begins with SLUICE_
and is not a setting is an error, so that a misspelt setting is not silently ignored. Fields without a description are
fixed numbers, not settings (app.settings.fields). Settings that contradict each other are errors, too: each rule names
the variables, the problem and the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_origin, get_type_hints

import msgspec

from app.settings.auth import AuthSettings
from app.settings.ingest import IngestSettings
from app.settings.query import QuerySettings
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
        raise SettingsError(f"unknown setting {', '.join(unknown)}; `sluice settings` lists all settings")
    values, problems = dict[str, Any](), list[str]()
    for variable, name, text in _given(environ):
        try:
            values[name] = msgspec.convert(text, _SETTINGS[name], strict=False)
        except msgspec.ValidationError as error:  # it quotes no value but a wrong choice, which no secret is
            about = " ".join(meta.description for meta in _SETTINGS[name].__metadata__ if meta.description)
            problems.append(f"{variable}: {error}. {about}")
    settings = Settings().replace(**values)
    problems = problems or _disagreements(settings, environ)
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


def _disagreements(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return the problems of `settings`, read from `environ`; none if they agree."""
    return [
        *_clock_problems(settings.ingest, settings.store, settings.query),
        *_type_problems(environ),
        *_access_problems(settings.auth, settings.server, environ),
        *_store_problems(settings),
    ]


def _clock_problems(ingest: IngestSettings, store: StoreSettings, query: QuerySettings) -> list[str]:
    settled_s = store.append_deadline_s + store.late_commit_margin_s + store.clock_skew_s
    inequalities = [
        (
            store.append_deadline_s < ingest.request_budget_s,
            f"SLUICE_APPEND_DEADLINE_S ({store.append_deadline_s:g}) must be below SLUICE_REQUEST_BUDGET_S "
            f"({ingest.request_budget_s:g}), so that each message has time for at least one attempt",
        ),
        (
            ingest.request_budget_s < ingest.ack_deadline_s,
            f"SLUICE_REQUEST_BUDGET_S ({ingest.request_budget_s:g}) must be below SLUICE_ACK_DEADLINE_S "
            f"({ingest.ack_deadline_s:g}), so that the answer arrives before Pub/Sub delivers the message again",
        ),
        (
            store.settle_s >= settled_s,
            f"SLUICE_SETTLE_S ({store.settle_s:g}) must be at least {settled_s:g}, the sum of "
            "SLUICE_APPEND_DEADLINE_S, SLUICE_LATE_COMMIT_MARGIN_S and SLUICE_CLOCK_SKEW_S: readers would miss "
            "a later commit",
        ),
        (
            store.settle_s < 60,
            f"SLUICE_SETTLE_S ({store.settle_s:g}) must be below 60: a record must be visible within a minute",
        ),
        (
            query.dedupe_lookback_s >= ingest.retry_backoff_max_s + ingest.ack_deadline_s,
            f"SLUICE_DEDUPE_LOOKBACK_S ({query.dedupe_lookback_s:g}) must be at least "
            f"{ingest.retry_backoff_max_s + ingest.ack_deadline_s:g}, the sum of SLUICE_RETRY_BACKOFF_MAX_S and "
            "SLUICE_ACK_DEADLINE_S: a redelivery can arrive that late",
        ),
    ]
    return [problem for holds, problem in inequalities if not holds]


def _type_problems(environ: Mapping[str, str]) -> list[str]:
    if environ.get("SLUICE_RECORD") and environ.get("SLUICE_STREAMS"):
        return [
            "SLUICE_RECORD and SLUICE_STREAMS exclude each other: to add streams to a single type, name the type in "
            "the mapping too, first and as `records`, and unset SLUICE_RECORD"
        ]
    return []


def _access_problems(auth: AuthSettings, server: ServerSettings, environ: Mapping[str, str]) -> list[str]:
    problems = []
    is_open = not auth.api_principals and not auth.grants_file
    if is_open and not server.is_loopback:  # whatever the roles: ingest has POST /v1/records
        problems.append(
            "SLUICE_API_PRINCIPALS is empty, so /v1 is open to everyone: name its callers there or in "
            f"SLUICE_GRANTS_FILE, or listen on 127.0.0.1 (SLUICE_HOST is {server.host})"
        )
    if is_open and "*" in auth.cors_origins:
        # A page must add its token itself, whereas the browser sends cookies on its own. So any page may call, and
        # learns nothing without a token. If no token is required, every web page could read and write.
        problems.append(
            "SLUICE_CORS_ORIGINS=* would open /v1 to every web page, because /v1 needs no token on this "
            "machine: list the origins, or name the callers in SLUICE_API_PRINCIPALS or SLUICE_GRANTS_FILE"
        )
    both = sorted(set(auth.push_principals) & set(auth.api_principals))
    if both:
        problems.append(
            f"SLUICE_PUSH_PRINCIPALS and SLUICE_API_PRINCIPALS both list {', '.join(both)}: a push principal "
            "may only push"
        )
    if auth.platform_iam == "trust" and "K_SERVICE" not in environ:
        problems.append("SLUICE_PLATFORM_IAM=trust is allowed on Cloud Run only, and this process does not run there")
    return problems


def _store_problems(s: Settings) -> list[str]:
    problems = []
    if s.store.backend == "bigquery":
        problems = [
            f"{variable} must be set when SLUICE_BACKEND is bigquery, for example {example}"
            for variable, value, example in (
                ("SLUICE_BIGQUERY_PROJECT", s.store.bigquery_project, "my-project"),
                ("SLUICE_BIGQUERY_DATASET", s.store.bigquery_dataset, "events"),
            )
            if not value
        ]
    elif not s.project and ("cloud" in s.telemetry.metrics or s.telemetry.traces in {"cloud", "cloud-otlp"}):
        problems.append("SLUICE_BIGQUERY_PROJECT must name the project that receives traces and metrics")
    if s.store.backend == "mirror":
        rules = {
            "SLUICE_MIRROR_URL must be set when SLUICE_BACKEND is mirror: the URL of the service to follow": bool(
                s.store.mirror_url
            ),
            "SLUICE_ROLES must be query when SLUICE_BACKEND is mirror: send records to its source": (
                s.server.roles == ("query",)
            ),
        }
        problems += [problem for problem, holds in rules.items() if not holds]
    if s.query.cache_url and not s.query.cache_secret:
        problems.append(
            "SLUICE_CACHE_URL needs SLUICE_CACHE_SECRET, the key that encrypts what instances share: at least 32 "
            "random characters, the same for all, for example from `openssl rand -hex 32`"
        )
    return problems
