"""Encode integers as protobuf does: https://protobuf.dev/programming-guides/encoding/#varints. Pure."""


def varint(number: int) -> bytes:
    """Encode a non-negative integer: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
