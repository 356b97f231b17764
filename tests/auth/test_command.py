"""`python -m app.auth`, and the document that tells of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.auth.__main__ import main
from app.auth.grants import Principal, key_hash, read_grants
from tests.auth.callers import KEY, OWNER, PUSHER, READER, RULES, document, email_grant, granting, key_grant
from tests.documents import code_blocks
from tests.support.process import ROOT

PAGE = ROOT / "docs/access.md"


def test_a_new_key_is_printed_with_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    """The entry is valid as it stands, and holds the key's hash and not the key."""
    limits = ["--requests-per-minute", "60", "--expires", "2027-01-01T00:00:00Z"]
    assert (
        main(["new-key", "--name", "a", "--scope", "read", "--scope", "write", "--filter", "source=x=y", *limits], {})
        == 0
    )
    key, _, entry = capsys.readouterr().out.partition("\n")
    assert key not in entry
    grants = read_grants(document(json.loads(entry)), RULES)
    granted = grants.by_key[key_hash(key)]
    assert granted.principal == Principal("a", frozenset({"read", "write"}), (("source", "x=y"),), 60)
    assert granted.expires_us == 1_798_761_600_000_000


def test_a_new_key_goes_into_a_file_of_grants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is made when it is missing, keeps the entries and the mode that it has, and only the key is printed."""
    file = tmp_path / "grants.json"
    keys = []
    for name in ("a", "b"):
        assert main(["new-key", "--name", name, "--scope", "read", "--into", str(file)], {}) == 0
        keys.append(capsys.readouterr().out.removesuffix("\n"))
        assert file.stat().st_mode & 0o777 == (0o600 if name == "a" else 0o640)
        file.chmod(0o640)
    grants = read_grants(file.read_bytes(), RULES)
    assert [grants.by_key[key_hash(key)].principal.name for key in keys] == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["grants.json"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b'{"grants": 1}', "grants.json: "), (b'{"grants": [{"email": "x", "scopes": ["read"]}]}', "grants[0]")],
)
def test_a_file_that_is_wrong_is_left_as_it_is(
    tmp_path: Path, content: bytes, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No key is printed that would open nothing."""
    file = tmp_path / "grants.json"
    file.write_bytes(content)
    assert main(["new-key", "--name", "a", "--scope", "read", "--into", str(file)], {}) == 2
    out, error = capsys.readouterr()
    assert (out, file.read_bytes()) == ("", content)
    assert told in error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--name", "A", "--scope", "read"], "`name` must be"),
        (["--name", "a", "--scope", "read", "--filter", "colour=red"], "`filters`: "),
        (["--name", "a", "--scope", "rejects", "--filter", "source=a"], "cannot be combined"),
        (["--name", "a", "--scope", "read", "--filter", "source=a", "--filter", "source=b"], "source.in=a,b"),
        (["--name", "a", "--scope", "read", "--expires", "2027"], "such as --expires 2027-01-01T00:00:00Z"),
        (["--name", "a", "--scope", "read", "--requests-per-minute", "-1"], "`requests_per_minute` must be"),
    ],
)
def test_a_key_that_could_not_be_granted_is_not_made(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what is wrong, and there is no key to be used by mistake."""
    assert main(["new-key", *arguments], {}) == 2
    said = capsys.readouterr()
    assert (said.out, told in said.err.replace("FIELD", "source")) == ("", True)


def test_a_file_is_checked_and_read_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each caller, with those of the settings; an expired one is marked."""
    settings = granting(
        tmp_path,
        email_grant(scopes=["rejects", "read"], requests_per_minute=0),
        key_grant(filters={"source": "x"}, hashed_filters=False, expires="2001-01-01T00:00:00Z"),
        key_grant("sluice_2", name="b", scopes=["write"], expires="2999-01-01T00:00:00Z"),
    )
    environ = {"SLUICE_API_PRINCIPALS": OWNER, "SLUICE_REQUESTS_PER_MINUTE": "7", "SLUICE_BACKEND": "bigquery"}
    assert main(["check", settings.auth.grants_file], environ) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{OWNER}: read, write, rejects, metrics; 7 requests per minute",
        f"{READER}: read, rejects; no limit",
        "partner-a: read; only source=x; no filters on hashed fields; 7 requests per minute; "
        "EXPIRED at 2001-01-01T00:00:00Z",
        "b: write; 7 requests per minute; until 2999-01-01T00:00:00Z",
    ]


@pytest.mark.parametrize(
    ("entry", "environ", "told"),
    [
        (email_grant(PUSHER), {"SLUICE_PUSH_PRINCIPALS": PUSHER}, "SLUICE_PUSH_PRINCIPALS"),
        (key_grant(filters={"carrier": "UA"}), {}, "carrier"),
        (key_grant(), {"SLUICE_RECORD": "no.such:Type"}, "no.such"),
        (key_grant(), {"SLUICE_API_PRINCIPALS": PUSHER, "SLUICE_PUSH_PRINCIPALS": PUSHER}, "both list"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_status_2(
    tmp_path: Path, entry: dict[str, Any], environ: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the record type and the settings of the environment."""
    assert main(["check", granting(tmp_path, entry).auth.grants_file], environ) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert main(["check", str(tmp_path / "missing")], {}) == 2
    assert "cannot read " in capsys.readouterr().err


@pytest.mark.parametrize("module", ["app", "app.auth"])
def test_a_mistake_ends_the_process_with_one_line(tmp_path: Path, module: str) -> None:
    """Status 2, no traceback, and not the key that stands where its hash should."""
    file = granting(tmp_path, key_grant(key_sha256=KEY)).auth.grants_file
    arguments = ["check", file] if module == "app.auth" else []
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PORT"))}
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environ | {"SLUICE_GRANTS_FILE": file, "SLUICE_DATA_PATH": str(tmp_path / "x.duckdb")},
        capture_output=True,
        text=True,
        check=False,
    )
    told = ran.stdout + ran.stderr
    assert ran.returncode == 2
    assert len(told.splitlines()) == 1
    assert "grants[0] (partner-a): `key_sha256` must be" in told
    assert "Traceback" not in told
    assert KEY[:12] not in told
    assert not (tmp_path / "x.duckdb").exists()


def test_the_documents_example_is_valid() -> None:
    """It can be pasted."""
    (example,) = code_blocks(PAGE, "json")
    assert len(read_grants(example.encode(), RULES).all()) == 3
