"""An Appender that acknowledges and keeps nothing."""

from collections.abc import Mapping, Sequence

from app.stores.sink import Appender, Outcome, RowEncode, SetupError, Stored


class NullAppender:
    """An Appender that acknowledges each append at once; `rows` counts what it acknowledged.

    Rows are encoded as the store of `behind` needs them.
    """

    max_in_flight = target_in_flight = 4
    lateness_limits = None

    def __init__(self, behind: Appender) -> None:
        self._behind = behind
        self.rows = 0

    def encoder(self, envelope: Mapping[str, object]) -> RowEncode:
        """Return the encoder of the store behind."""
        return self._behind.encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Acknowledge `rows`."""
        self.rows += len(rows)
        return Stored()

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row`: none is late."""
        return row

    async def check(self) -> SetupError | None:
        """Find no obstacle."""
        return None

    async def close(self) -> None:
        """Close the store behind."""
        await self._behind.close()
