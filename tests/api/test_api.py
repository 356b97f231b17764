"""Every operation of the OpenAPI document, asked with what fits it and with what does not."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.api.run import DOCUMENT, fuzz, service, unexpected
from tests.api.streams import STREAMS
from tests.long_form import IS_LONG


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A service of this module's own: its URL and its log."""
    with service(tmp_path_factory.mktemp("api")) as found:
        yield found


# The coverage phase tries the edges of every parameter: 33,000 requests, 140 s of processor time. The
# short form leaves it out, and tries one generated request for each operation of each stream.
PHASES, EXAMPLES = ("examples,coverage,fuzzing,stateful", "10") if IS_LONG else ("examples,fuzzing", "1")


@pytest.mark.timeout(patience_s(900))
def test_no_request_is_answered_as_the_document_does_not_say(running: tuple[str, Path]) -> None:
    """No 5xx, no status, type, header or body that is not documented, nothing wrong taken; the log is clean too."""
    url, log = running
    found = fuzz(url, ["--max-examples", EXAMPLES, "--seed", "1", "--phases", PHASES])
    assert found.returncode == 0, found.stdout[-8_000:] + found.stderr[-2_000:]
    selected, total = re.findall(r"(\d+) selected / (\d+) total", found.stdout)[0]
    assert selected == total
    paths = httpx.get(url + DOCUMENT).json()["paths"].keys()
    assert {f"/v1/streams/{stream}/records/{{record_id}}" for stream in STREAMS} < paths
    generated = re.search(r"(\d+) generated", found.stdout)
    assert generated is not None
    assert int(generated[1]) > 150
    assert unexpected(log) == []
