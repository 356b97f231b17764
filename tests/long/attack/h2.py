"""As much of HTTP/2 as an attacker needs: the preface and requests in plain HPACK (RFC 9113, RFC 7541). Pure."""

from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS = 0x1, 0x4
_END_STREAM, _END_HEADERS = 0x1, 0x4
_INITIAL_WINDOW_SIZE = 0x4


def hello(window_bytes: int = 65_535) -> bytes:
    """Return the preface and settings: each stream may be sent `window_bytes` that nobody has read."""
    setting = _INITIAL_WINDOW_SIZE.to_bytes(2, "big") + window_bytes.to_bytes(4, "big")
    return PREFACE + _frame(_SETTINGS, 0, 0, setting)


def get(stream: int, path: str, headers: Mapping[str, str] = {}) -> bytes:
    """Return a GET on a stream, which has an odd number."""
    fields = {":method": "GET", ":scheme": "http", ":path": path, ":authority": "127.0.0.1", **headers}
    block = b"".join(_literal(name, value) for name, value in fields.items())
    return _frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, block)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: str, value: str) -> bytes:
    """A field that enters no table, with neither name nor value compressed (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name.lower()) + _text(value)


def _text(text: str) -> bytes:
    data = text.encode()
    length, head = len(data), bytearray()
    if length < 0x7F:
        head.append(length)
    else:
        head.append(0x7F)
        length -= 0x7F
        while length >= 0x80:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        head.append(length)
    return bytes(head) + data
