"""What a connection says that is then held open, without an end or without a reader. Pure: bytes by its number."""

from collections.abc import Callable, Mapping

DOCUMENT = "/openapi/openapi.json"
_TENTH = 128 * 1024 * 1024 // 10
_CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


def silent_sockets(_: int, __: Mapping[str, str]) -> bytes:
    """Return nothing at all."""
    return b""


def slow_headers(_: int, __: Mapping[str, str]) -> bytes:
    """Return a request whose headers do not end; a byte a second follows."""
    return b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Slow: "


def unread_documents(_: int, __: Mapping[str, str]) -> bytes:
    """Return a request of the OpenAPI document, without a token."""
    return _get(DOCUMENT)


def pipelined(_: int, __: Mapping[str, str]) -> bytes:
    """Return 200 requests in a row, none of whose answers is read."""
    return _get(DOCUMENT) * 200


def unread_pages(number: int, tokens: Mapping[str, str]) -> bytes:
    """Return a request of a page of 40 KB records; another page each, so that none is remembered."""
    limit = 1_000 if number < 20 else 10  # the small ones take what the large ones left
    return _get(f"/v1/records?since=-PT{300 + number}M&limit={limit}&fields=id,data", tokens["attacker-read"])


def unread_small_pages(number: int, tokens: Mapping[str, str]) -> bytes:
    """Return a request of a page of eight 40 KB records; another page each, so that none is remembered."""
    return _get(f"/v1/records?since=-PT{18_000 + number}S&limit=8&fields=id,data", tokens["attacker-read"])


def unread_exports(number: int, tokens: Mapping[str, str]) -> bytes:
    """Return a request of everything, by two callers in turn."""
    return _get("/v1/records?since=-PT5H&limit=all", _either(number, tokens))


def unread_tails(number: int, tokens: Mapping[str, str]) -> bytes:
    """Return a request of the tail, by two callers in turn."""
    return _get("/v1/records/tail", _either(number, tokens))


def one_write_key(number: int, tokens: Mapping[str, str]) -> bytes:
    """Return the head of a POST without its body: nine announce 13.4 MB each, later ones what is left, by halves.

    Whichever are refused, the others announce SLUICE_MAX_IN_FLIGHT_BYTES to the last hundred bytes.
    """
    announced = _TENTH if number < 9 else _TENTH >> (number - 9) % 15 + 1
    return _post("/v1/records", tokens["attacker-write"], f"Content-Length: {announced}")


def unfinished_chunks(_: int, tokens: Mapping[str, str]) -> bytes:
    """Return 13 MB of a chunked push that does not end."""
    return _post("/pubsub/push", tokens["push"], "Transfer-Encoding: chunked") + _CHUNK * 200


def _either(number: int, tokens: Mapping[str, str]) -> str:
    return tokens[("attacker-read", "attacker-read-2")[number % 2]]


def _get(path: str, token: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}\r\n".encode()


def _post(path: str, token: str, length: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\n{length}\r\n\r\n".encode()


OPENINGS: Mapping[str, Callable[[int, Mapping[str, str]], bytes]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        silent_sockets,
        slow_headers,
        unread_documents,
        pipelined,
        unread_pages,
        unread_small_pages,
        unread_exports,
        unread_tails,
        one_write_key,
        unfinished_chunks,
    )
}
