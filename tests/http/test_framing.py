"""What the headers of a request say of its form."""

import pytest

from app.http.headers import check_host
from app.http.problems import ProblemError

HOST = (b"host", b"example.test")


@pytest.mark.parametrize(
    ("headers", "version", "hosts"),
    [
        ([HOST], "1.1", None),
        ([], "1.0", None),
        ([], "1.1", 0),
        ([(b"host", b"")], "1.1", 0),
        ([(b"host", b"")], "1", None),
        ([HOST, HOST], "1.1", 2),
        ([HOST, (b"x", b"y"), (b"host", b"")], "1.0", 2),
    ],
)
def test_a_request_names_one_host(headers: list[tuple[bytes, bytes]], version: str, hosts: int | None) -> None:
    """Two, or none where one is needed, are refused with their number."""
    if hosts is None:
        check_host(headers, version)
        return
    with pytest.raises(ProblemError) as told:
        check_host(headers, version)
    assert (told.value.status, told.value.code, told.value.members) == (400, "invalid_host", {"hosts": hosts})
