"""A setting that is refused: what the message says, for every setting there is."""

import re

import pytest

from app.settings.load import VARIABLES, Settings, SettingsError, load_settings, settings_of

SETTINGS = settings_of(type(getattr(Settings(), room)) for room in Settings.__struct_fields__)
NONSENSE = "(?nonsense)"
TEXTS = {name for name, each in SETTINGS.items() if not each.refusal(NONSENSE) or not each.refusal([NONSENSE])}


def refused(**values: str) -> str:
    """Return why the settings are refused."""
    with pytest.raises(SettingsError) as error:
        load_settings({f"SLUICE_{name.upper()}": value for name, value in values.items()})
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("backend", "bigqery", "'bigqery' is not allowed: expected bigquery or embedded"),
        (
            "roles",
            "ingest, qery",
            "'ingest,qery' is not allowed: expected at least one of ingest or query, between commas",
        ),
        ("roles", " , ", "'' is not allowed: expected at least one of ingest or query, between commas"),
        ("port", "99999", "'99999' is not allowed: expected a whole number <= 65535"),
        ("max_body_bytes", "1.5", "'1.5' is not allowed: expected a whole number"),
        ("trace_ratio", "2", "'2' is not allowed: expected a number <= 1.0"),
        ("settle_s", "soon", "'soon' is not allowed: expected a number"),
        ("id_index", "ja", "'ja' is not allowed: expected true or false"),
        (
            "otlp_url",
            "x" * 100,
            f"'{'x' * 60}…' is not allowed: expected an address without a path, such as http://127.0.0.1:4318",
        ),
    ],
)
def test_the_message_says_what_would_be_right(name: str, value: str, said: str) -> None:
    """In words, after the variable."""
    assert refused(**{name: value}) == f"SLUICE_{name.upper()}: {said}"


@pytest.mark.parametrize("name", sorted({*VARIABLES.values()} - TEXTS))
def test_no_message_shows_an_expression_or_a_type_of_python(name: str) -> None:
    """Whatever is wrong: a text with a rule has its form in words."""
    said = refused(**{name: NONSENSE})
    assert said.startswith(f"SLUICE_{name.upper()}: ")
    rest = said.replace(NONSENSE, "")
    assert not re.search(r"[\^$\\{}`]|regex|\bint\b|\bstr\b|\bfloat\b|\bbool\b|enum", rest)
    assert "such as" in rest or re.search(r"expected .*(number|characters|true|between commas| or )", rest)


@pytest.mark.parametrize("name", ["pii_secret", "cache_secret", "cache_url"])
def test_a_secret_is_not_quoted(name: str) -> None:
    """It may be nearly right."""
    assert "hunter2" not in refused(**{name: "hunter2"})
