import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from app.main import create_app
from app.record import RecordTypeError, load_record_type
from app.schema.record_json import example_record
from app.schema.table import records_table
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


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("Record", "must be package.module:Type"),
        (":Record", "must be package.module:Type"),
        ("app.record:", "must be package.module:Type"),
        ("no.such.module:Type", "cannot be imported: no module 'no' is installed"),
        ("app.record:Nothing", "cannot be imported"),
        (".record:Record", "cannot be imported"),
        ("app.record:Annotated", "expected a msgspec.Struct"),
        ("app.record:load_record_type", "expected a msgspec.Struct"),
        ("app.auth.tokens:TokenVerifier", "expected a msgspec.Struct"),
        ("app.record:Envelope", "Envelope.subscription_name: the service adds a column with this name"),
        ("msgspec:Struct", "Struct: Struct has no fields"),
    ],
)
def test_a_record_that_cannot_be_used_is_an_error(
    record: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record type that is missing or refused ends the command with status 2 and one line on stderr."""
    assert main(["--record", record, "bigquery"]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert message in printed.err
    assert printed.err.count("\n") == 1


class Unlisted(msgspec.Struct, forbid_unknown_fields=True):
    """A role that cannot be played."""

    tags: Annotated[list[str], msgspec.Meta(extra={"sluice": ["filter"]})]


class Parameter(msgspec.Struct, forbid_unknown_fields=True):
    """A filter that could not be told from a parameter."""

    limit: Annotated[int, msgspec.Meta(extra={"sluice": ["filter"]})]


class Silent(msgspec.Struct):
    """Says nothing about members that it does not declare."""

    id: str


class Reserved(msgspec.Struct, forbid_unknown_fields=True):
    """Declares a column of the envelope."""

    message_id: str


@pytest.mark.parametrize("derivation", _DERIVATIONS)
@pytest.mark.parametrize("declared", [Unlisted, Parameter, Silent, Reserved, Unlisted.__name__ + "s"])
def test_the_command_refuses_what_the_service_refuses_in_the_same_words(
    derivation: str, declared: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """No schema is printed, and so no table is made, for a type with which the service would not start."""
    record = f"{__name__}:{declared if isinstance(declared, str) else declared.__name__}"
    with pytest.raises(RecordTypeError) as refused:
        create_app(Settings().replace(record=record, data_path=":memory:"))
    assert main([derivation], {"SLUICE_RECORD": record}) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{refused.value}\n")


@pytest.mark.parametrize("arguments", [[], ["avro"], ["bigquery", "--unknown"]])
def test_wrong_arguments_show_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the command does not know is answered with its usage and status 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: sluice schema" in capsys.readouterr().err


def test_the_module_reads_sluice_record() -> None:
    """Run as a module, the command takes the record type from the environment and exits with its status."""
    for record, status in [("sluice.local.flights.record:Flight", 0), ("no.such:Type", 2)]:
        ran = subprocess.run(
            [sys.executable, "-m", "sluice", "schema", "bigquery"],
            env={**os.environ, "SLUICE_RECORD": record},
            capture_output=True,
            check=False,
        )
        assert ran.returncode == status, ran.stderr


def test_a_module_that_cannot_be_parsed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of grammar in the module of the record type is told as one line, not as a traceback."""
    (tmp_path / "broken_record.py").write_text("class Record(:\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecordTypeError, match=r"SLUICE_RECORD='broken_record:Record' cannot be imported: .*syntax"):
        load_record_type("broken_record:Record")


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


class Trip(msgspec.Struct):
    """A type that keeps what it does not declare."""

    id: Annotated[str, msgspec.Meta(extra={"sluice": ["id"]})]
    rest: Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest"]})] = {}


_TRIP = f"{__name__}:Trip"


def test_the_json_schema_of_a_type_with_a_rest_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    """A producer may send any member beside the declared ones, and does not fill the rest."""
    assert main(["--record", _TRIP, "jsonschema"]) == 0
    schema = json.loads(capsys.readouterr().out)["$defs"]["Trip"]
    assert (set(schema["properties"]), schema["additionalProperties"]) == ({"id"}, True)
    example = example_record(records_table(Trip))
    assert example == {"id": "text"}
