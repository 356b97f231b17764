"""The file of grants while the service runs: taken over when it is good, told once when it is not."""

import logging
from pathlib import Path

import pytest

from app.auth.grants_file import GrantsReloader
from tests.auth.callers import KEY, READER, RULES, document, email_grant, key_grant, remove, write


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file of one grant, for READER."""
    file = tmp_path / "grants.json"
    write(file, document(email_grant()))
    return file


async def test_the_content_counts_and_not_the_time_of_the_file(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A mounted secret changes by a link that is put elsewhere; and what is the same is not read anew."""
    link = tmp_path / "latest"
    link.symlink_to(file)
    grants = GrantsReloader(str(link), RULES)
    write(file, document(email_grant()))
    with caplog.at_level(logging.INFO):
        await grants.look()
    assert not caplog.records
    write(tmp_path / "second.json", document())
    remove(link)
    link.symlink_to(tmp_path / "second.json")
    await grants.look()
    assert READER not in grants


async def test_a_file_that_is_no_good_changes_nothing_and_is_told_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each content is told of once; when the file is as it was, that is good again."""
    good = document(email_grant())
    grants = GrantsReloader(str(file), RULES)
    for wrong, told in (
        (document(email_grant(scopes=["raed"])), "Invalid enum value 'raed'"),
        (document(key_grant(key_sha256=KEY)), "`key_sha256` must be"),
    ):
        write(file, wrong)
        caplog.clear()
        for _ in range(3):
            await grants.look()
        (record,) = caplog.records
        assert (record.levelname, record.name) == ("ERROR", "sluice.access")
        assert "the previous grants stay in force" in record.getMessage()
        assert told in record.getMessage()
        assert KEY not in caplog.text
        assert READER in grants
    write(file, good)
    await grants.look()
    assert READER in grants
    write(file, document())
    await grants.look()
    assert READER not in grants
