"""A setting that is refused: what the message says, for every setting there is."""

import re

import pytest
from msgspec import inspect

from app.settings.load import VARIABLES, Settings, SettingsError, load_settings
from app.settings.rules import Setting, settings_of

SETTINGS = settings_of(type(getattr(Settings(), room)) for room in Settings.__struct_fields__)
NONSENSE = "(?nonsense)"


def accepts_any_text(setting: Setting) -> bool:
    """Return whether there is no wrong text for a setting, or for the items of its list."""
    kind = setting.kind.item_type if isinstance(setting.kind, inspect.VarTupleType) else setting.kind
    return isinstance(kind, inspect.StrType) and kind == inspect.StrType()


def refused(**values: str) -> str:
    """Return why the settings are refused."""
    with pytest.raises(SettingsError) as error:
        load_settings({f"SLUICE_{name.upper()}": value for name, value in values.items()})
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("backend", "bigqery", "'bigqery' is not allowed: it must be bigquery or embedded; did you mean bigquery?"),
        (
            "roles",
            "ingest, qery",
            "'qery' is not allowed: each of its items must be ingest or query; did you mean query?",
        ),
        ("roles", " , ", "expected at least one of ingest, query"),
        ("port", "99999", "'99999' is not a whole number from 1 to 65535"),
        ("max_body_bytes", "1.5", "'1.5' is not a whole number above 0"),
        ("trace_ratio", "2", "'2' is not a number from 0 to 1"),
        ("settle_s", "soon", "'soon' is not a number above 0 and of at most 2678400"),
        ("id_index", "ja", "'ja' is not true or false"),
        ("otlp_url", "x" * 100, f"'{'x' * 60}…' is not an address without a path, such as http://127.0.0.1:4318"),
    ],
)
def test_the_message_says_what_would_be_right(name: str, value: str, said: str) -> None:
    """In words, after the variable."""
    assert refused(**{name: value}) == f"SLUICE_{name.upper()}: {said}"


@pytest.mark.parametrize("name", [name for name in VARIABLES.values() if not accepts_any_text(SETTINGS[name])])
def test_no_message_shows_an_expression_or_a_type_of_python(name: str) -> None:
    """Whatever is wrong: a text with a rule has its form in words."""
    said = refused(**{name: NONSENSE})
    assert said.startswith(f"SLUICE_{name.upper()}: ")
    rest = said.replace(NONSENSE, "")
    assert not re.search(r"[\^$\\{}`]|regex|\bint\b|\bstr\b|\bfloat\b|\bbool\b|enum", rest)
    assert "such as" in rest or re.search(r"number|characters|true|must be|at least one", rest)


@pytest.mark.parametrize("name", ["pii_secret", "cache_secret", "cache_url"])
def test_a_secret_is_not_quoted(name: str) -> None:
    """It may be nearly right."""
    assert "hunter2" not in refused(**{name: "hunter2"})
