"""The fuzz run, short, and the cases of the corpus: `make fuzz` is the long run."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.http.problems import MEDIA_TYPE
from sluice.testing.pace import patience_s
from tests.long.fuzz.case import Asked, Token
from tests.long.fuzz.oracle import NARROW, wrong
from tests.long.fuzz.requests import AREAS
from tests.long.fuzz.run import fuzz, kept_cases
from tests.long.fuzz.target import Target, target
from tests.long.fuzz.wire import Answer

EXAMPLES = 12
ASKED = Asked(method="GET", path="/v1/records", caller="reader")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A service of this module's own."""
    with target(tmp_path_factory.mktemp("fuzz")) as found:
        yield found


@pytest.mark.timeout(patience_s(300))
@pytest.mark.parametrize("area", AREAS)
def test_nothing_is_wrong_with_what_an_area_draws(service: Target, area: str) -> None:
    """A few of each kind, the same ones every time."""
    found = fuzz(area, EXAMPLES, 14, service)
    assert found is None, found


@pytest.mark.parametrize("name", kept_cases())
def test_a_case_that_was_found_once_is_found_no_more(service: Target, name: str) -> None:
    """Each file of the corpus is a fault that is mended."""
    service.check(kept_cases()[name].case)


def test_what_was_acknowledged_is_stored_or_rejected(tmp_path: Path) -> None:
    """Every push that was answered 2xx has left something under its message id."""
    with target(tmp_path) as own:
        assert fuzz("pushes", EXAMPLES, 15, own) is None
        assert own.counts[204]
        assert own.promised_and_missing() == []


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Answer:
    """Return an answer of JSON, or with other headers."""
    kind = MEDIA_TYPE if status >= 400 else "application/json"
    return Answer(
        status, {"content-type": kind} | {name.replace("_", "-"): text for name, text in headers.items()}, body
    )


def problem(status: int, code: str) -> Answer:
    """Return a problem document."""
    return answer(status, msgspec.json.encode({"status": status, "code": code}))


@pytest.mark.parametrize(
    ("asked", "said", "fault"),
    [
        (ASKED, answer(500, b"oops"), "status 500"),
        (ASKED, problem(404, "no_such_code"), "the code 'no_such_code'"),
        (ASKED, answer(200, b"{"), "is not JSON"),
        (msgspec.structs.replace(ASKED, caller=""), answer(), "a caller without a token was answered 200"),
        (msgspec.structs.replace(ASKED, token=Token(flip=3)), answer(), "a spoilt token was answered 200"),
        (
            msgspec.structs.replace(ASKED, caller=NARROW),
            answer(200, b'{"records": [{"delivery_key": "a", "source": "other"}]}'),
            "a fixed filter was shown",
        ),
    ],
)
def test_each_fault_is_seen(asked: Asked, said: Answer, fault: str) -> None:
    """The oracles can fail: of each kind of wrong answer they say what is wrong."""
    assert any(fault in each for each in wrong(asked, said)), wrong(asked, said)
