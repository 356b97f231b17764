"""Share what is in flight among streams, so that a slow table delays its own messages only. Pure.

A stream may hold as much as is free (a dynamic threshold, as in the buffers of switches: Choudhury and Hahne, 1998,
https://doi.org/10.1109/90.664262). Alone it can take half, two can take a third each, and k of them 1/(k+1); as much
again always stays free for a stream that has nothing in flight. No share must be configured, and none lies idle.
"""

import msgspec


class _Held(msgspec.Struct):
    """The messages that one stream has in flight, and their bytes."""

    messages: int = 0
    bytes: int = 0


class StreamShares:
    """Counts the bytes in flight of each stream, within a total that all streams share."""

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes = max_bytes
        self._held: dict[str, _Held] = {}

    def enter(self, stream: str, size: int) -> bool:
        """Count a message of `size` bytes; return False, and count nothing, if its stream already has its share.

        A message of a stream that has nothing in flight always enters, whatever its size.
        """
        held = self._held.get(stream)
        if held is None:
            held = self._held[stream] = _Held()
        elif held.bytes + size > self._free_bytes - size:
            return False
        held.messages += 1
        held.bytes += size
        self._free_bytes -= size
        return True

    def leave(self, stream: str, size: int) -> None:
        """Uncount a message that entered."""
        held = self._held[stream]
        held.messages -= 1
        held.bytes -= size
        self._free_bytes += size
        if not held.messages:
            del self._held[stream]
