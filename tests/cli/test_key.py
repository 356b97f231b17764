"""`sluice key`, and the document that tells of grants."""

from pathlib import Path

import pytest

from app.auth.grants import Principal, key_hash, read_grants
from sluice.__main__ import main
from tests.auth.callers import RULES
from tests.documents import code_blocks
from tests.support.process import ROOT

PAGE = ROOT / "docs/access.md"


def test_a_new_key_goes_into_a_file_of_grants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is made when it is missing, keeps the entries and the mode that it has, and only the key is printed."""
    file = tmp_path / "grants.json"
    more = ["--scope", "write", "--filter", "source=x=y", "--requests-per-minute", "60"]
    keys = []
    for name in ("a", "b"):
        arguments = ["key", "--name", name, "--scope", "read", "--expires", "2027-01-01T00:00:00Z", *more]
        assert main([*arguments, "--into", str(file)], {}) == 0
        keys.append(capsys.readouterr().out.removesuffix("\n"))
        assert file.stat().st_mode & 0o777 == (0o600 if name == "a" else 0o640)
        file.chmod(0o640)
    grants = read_grants(file.read_bytes(), RULES)
    granted = grants.by_key[key_hash(keys[0])]
    assert granted.principal == Principal("a", frozenset({"read", "write"}), (("source", "x=y"),), 60)
    assert granted.expires_us == 1_798_761_600_000_000
    assert grants.by_key[key_hash(keys[1])].principal.name == "b"
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
    assert main(["key", "--name", "a", "--scope", "read", "--into", str(file)], {}) == 2
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
        (["--name", "a", "--scope", "read", "--filter", "source"], "expected source=VALUE"),
        (["--name", "a", "--scope", "read", "--expires", "2027"], "such as --expires 2027-01-01T00:00:00Z"),
        (["--name", "a", "--scope", "read", "--requests-per-minute", "-1"], "`requests_per_minute` must be"),
    ],
)
def test_a_key_that_could_not_be_granted_is_not_made(
    tmp_path: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what is wrong, and there is no key to be used by mistake."""
    assert main(["key", *arguments, "--into", str(tmp_path / "grants.json")], {}) == 2
    said = capsys.readouterr()
    assert (said.out, told in said.err.replace("FIELD", "source")) == ("", True)
    assert not any(tmp_path.iterdir())


def test_the_documents_example_is_valid() -> None:
    """It can be pasted."""
    (example,) = code_blocks(PAGE, "json")
    assert len(read_grants(example.encode(), RULES).all()) == 3
