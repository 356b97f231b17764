"""The attacks are inside every documented limit, made of parts that exist, and aimed at this machine only."""

import gzip
from pathlib import Path

import msgspec
import pytest

from app.settings.load import Settings
from tests.attack import h2
from tests.attack.openings import OPENINGS
from tests.attack.payloads import PAYLOADS, Request
from tests.attack.plan import ATTACKS, Hold, Repeat, UnknownAttackError, chosen
from tests.attack.scene import CALLERS, NotHereError, found, require_loopback

LIMITS = Settings()
TOKENS = {caller.name: f"token of {caller.name}" for caller in CALLERS} | {"push": "token of a push"}


def data(request: Request) -> bytes:
    """Return what a push carries, decompressed."""
    message = msgspec.json.decode(request.body)["message"]
    raw = msgspec.convert(message["data"], bytes)
    return gzip.decompress(raw) if "content-encoding" in message["attributes"] else raw


def test_each_move_is_made_of_what_there_is() -> None:
    """Names of payloads, openings and attacks are known, and none is left over."""
    moves = [move for attack in ATTACKS for move in attack.moves]
    assert {move.payload for move in moves if isinstance(move, Repeat)} == PAYLOADS.keys() - {"page_of_records"}
    assert {move.opening for move in moves if isinstance(move, Hold)} == OPENINGS.keys()
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    for opening in OPENINGS.values():
        assert isinstance(opening(3, TOKENS), bytes)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_inside_the_documented_limits(name: str) -> None:
    """No attack is a request that is too large: each limit that is documented lets it pass."""
    request = PAYLOADS[name](1)
    assert len(request.body) <= LIMITS.server.max_body_bytes
    if request.path != "/pubsub/push":
        return
    sent = data(request)
    assert len(sent) <= LIMITS.ingest.max_decompressed_bytes
    attributes = msgspec.json.decode(request.body)["message"]["attributes"]
    assert sum(len(key) + len(value) for key, value in attributes.items()) <= 128_000


def test_the_small_ones_are_small_and_become_large() -> None:
    """Tens of kilobytes of gzip are tens of megabytes of JSON."""
    for name in ("empty_arrays", "deep_records", "geojson"):
        request = PAYLOADS[name](1)
        assert len(request.body) < 200_000
        assert len(data(request)) > 25_000_000
    assert len(PAYLOADS["rejects_from_a_few_bytes"](1).body) < 120


def test_attacks_are_chosen_by_name() -> None:
    """All of them, or some in the order asked for, each as long as asked."""
    assert chosen(()) == ATTACKS
    (one,) = chosen(["pipelined"], 3)
    assert (one.name, one.seconds) == ("pipelined", 3)
    with pytest.raises(UnknownAttackError, match="there is no attack 'x'; there are rejects-with-attributes, "):
        chosen(["x"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80", "http://127.9.0.1"])
def test_this_machine_may_be_attacked(url: str) -> None:
    """Loopback is everything that is."""
    require_loopback(url)
    assert found(url + "/", None, None, None).url == url


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1", "https://127.0.0.1", "http://example.com", "http://0.0.0.0", "http://127.0.0.1.example.com"],
)
def test_no_other_machine_may(url: str) -> None:
    """Not a private address, not a name that looks like one of ours; nor is a token asked for elsewhere."""
    with pytest.raises(NotHereError, match="only a service at"):
        found(url, None, None, None)
    with pytest.raises(NotHereError, match="only a service at"):
        found("http://127.0.0.1", None, url, None)


def test_the_tokens_of_a_service_that_runs_are_read_from_a_file(tmp_path: Path) -> None:
    """Callers that are not in it send none."""
    file = tmp_path / "tokens.json"
    file.write_bytes(b'{"push": "a", "reader": "b"}')
    scene = found("http://127.0.0.1:8080", file, None, 7)
    assert (scene.tokens["push"], scene.tokens["reader"], scene.tokens["follower"], scene.pid) == ("a", "b", "", 7)


def test_http2_is_written_as_the_standard_says() -> None:
    """A preface, settings with the window, and a request whose long values have a length of several bytes."""
    assert h2.hello(1).startswith(h2.PREFACE + bytes((0, 0, 6, 4, 0, 0, 0, 0, 0)))
    frame = h2.get(3, "/" + "a" * 200)
    assert (int.from_bytes(frame[:3], "big"), frame[3], frame[4], frame[8]) == (len(frame) - 9, 1, 5, 3)
    assert b"\x00\x05:path\x7f\x4a/aaa" in frame
