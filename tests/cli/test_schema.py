import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from app.main import create_app
from app.record import RecordTypeError, load_record_type
from app.settings.load import Settings
from tests.cli.schema_command import main

_DERIVATIONS = ["bigquery", "proto", "duckdb", "jsonschema", "filters"]


@pytest.mark.parametrize("derivation", _DERIVATIONS)
def test_each_derivation_is_printed_for_another_record(derivation: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--record` names the type whose derivation is printed, and it is whole: SQL or JSON."""
    assert main(["--record", "sluice.local.flights.record:Flight", derivation]) == 0
    printed = capsys.readouterr().out
    assert "carrier" in printed
    if derivation == "duckdb":
        assert printed.endswith(");\n")
    else:
        assert json.loads(printed)


def test_the_rejects_are_printed_whatever_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    """`--rejects` prints the derivation of the other table."""
    assert main(["--rejects", "duckdb"], {"SLUICE_RECORD": "no.such:Type"}) == 0
    assert 'CREATE TABLE IF NOT EXISTS "records_rejected"' in capsys.readouterr().out


class Unlisted(msgspec.Struct, forbid_unknown_fields=True):
    """A role that cannot be played."""

    tags: Annotated[list[str], msgspec.Meta(extra={"sluice": ["filter"]})]


class Reserved(msgspec.Struct, forbid_unknown_fields=True):
    """Declares a column of the envelope."""

    message_id: str


@pytest.mark.parametrize("declared", [Unlisted, Reserved, Unlisted.__name__ + "s"])
def test_the_command_refuses_what_the_service_refuses_in_the_same_words(
    declared: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """No schema is printed, and so no table is made, for a type with which the service would not start."""
    record = f"{__name__}:{declared if isinstance(declared, str) else declared.__name__}"
    with pytest.raises(RecordTypeError) as refused:
        create_app(Settings().replace(record=record, data_path=":memory:"))
    assert main(["bigquery"], {"SLUICE_RECORD": record}) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{refused.value}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "import msgspec\nclass Record(msgspec.Struct):\n    x: Foo\n",
            "NameError: name 'Foo' is not defined (MODULE, line 3)",
        ),
        ("import re\nNAME = re.compile('(')\n", "unterminated subpattern at position 0 (MODULE, line 2)"),
        ("raise ValueError('two\\nlines')\n", "ValueError: two lines (MODULE, line 1)"),
        ("from app.record import Nothing\n", "(MODULE, line 1)"),
        ("", "the module MODULE has no Record"),
    ],
)
def test_a_module_that_raises_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    """The line of the module itself, not one of a library that it called."""
    name = f"raising_{hash(text) % 10**9}"
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecordTypeError) as raised:
        load_record_type(f"{name}:Record")
    assert str(raised.value).startswith(f"SLUICE_RECORD='{name}:Record' cannot be imported: ")
    assert str(raised.value).endswith(said.replace("MODULE", f"{name}.py" if "line" in said else name))
    assert "\n" not in str(raised.value)


MARKET = {"SLUICE_STREAMS": "tests.streams.market:STREAMS"}


@pytest.mark.parametrize("stream", ["orders", "payments", "visits"])
def test_a_stream_has_derivations_of_its_own(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As its type has, under its name."""
    assert main(["--stream", stream, "duckdb"], MARKET) == 0
    assert f'CREATE TABLE IF NOT EXISTS "{stream}"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["bigquery"], MARKET, "choose one with --stream: orders, payments, visits"),
        (["--stream", "order", "bigquery"], MARKET, "there is no stream 'order': expected one of orders, payments"),
        (["--stream", "orders", "bigquery"], {}, "--stream orders needs SLUICE_STREAMS"),
    ],
)
def test_which_stream_is_meant_must_be_clear(
    arguments: list[str], environ: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A schema of the wrong stream would be applied to a table."""
    assert main(arguments, environ) == 2
    assert told in capsys.readouterr().err
