"""Settings of the project in the working folder: the table `[tool.sluice]` of its pyproject.toml.

    [tool.sluice]
    record = "orders:Order"
    retention_days = 30

Each entry is the setting of that name with SLUICE_ in front; a variable of the environment wins.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from app.settings.load import PREFIX

FILE, TABLE = "pyproject.toml", "tool.sluice"


class ProjectSettingsError(Exception):
    """The table cannot be used; the message says why."""


def project_settings(folder: Path) -> Mapping[str, str]:
    """Return the variables that the project sets; none if there is no such file or table.

    Raises:
        ProjectSettingsError: the file is no TOML, or a value is neither a text, a number, a bool nor a list of texts.
    """
    try:
        document = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ProjectSettingsError(f"{FILE}: {error}") from error
    table = document.get("tool", {}).get("sluice", {})
    if not isinstance(table, dict):
        raise ProjectSettingsError(f'{FILE}: [{TABLE}] must be a table, such as record = "orders:Order"')
    return {f"{PREFIX}{name.upper()}": _text(name, value) for name, value in table.items()}


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(each, str) for each in value):
            return ",".join(value)
    raise ProjectSettingsError(
        f"{FILE}: [{TABLE}] {name}: expected a text, a number, true or false, or a list of texts"
    )
