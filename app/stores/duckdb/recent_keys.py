"""Find the rows of an append that are copies: those whose `delivery_key` was appended within the look-back.

The file knows these keys. Its rows have most of them. RECENT_KEYS has those of copies, which were not stored, but hide
the next copy; and those of erased rows, which a redelivery must not bring back. Asking the file takes some
milliseconds, and 0.1 s among 1.8 million keys. So a Bloom filter in memory says of nearly every new key that the file
need not be asked.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any

import duckdb
import msgspec

from app.stores.duckdb.table_layout import quote

RECENT_KEYS = "sluice_recent_keys"
"""The service's own table of keys."""
RECENT_KEYS_DDL = (
    f"CREATE TABLE IF NOT EXISTS {RECENT_KEYS} (table_name VARCHAR, digest VARCHAR, ingest_time TIMESTAMP)"
)
DIGEST_BYTES = 16
_LOADED_ROWS = 10_000
_BITS_A_KEY = 64  # of which four are set: a generation has one key in 75,000 that was not added
_MIN_KEYS, _MAX_KEYS = 2**12, 2**20  # of one generation of the filter


def digest_sql(delivery_key: str) -> str:
    """Return the SQL of what RECENT_KEYS holds of a key."""
    return f"left(sha256({delivery_key}), {2 * DIGEST_BYTES})"


def digest_of(delivery_key: str) -> bytes:
    """Return the digest of a key."""
    return hashlib.sha256(delivery_key.encode()).digest()[:DIGEST_BYTES]


class _Keyed(msgspec.Struct):
    delivery_key: str


_keyed = msgspec.json.Decoder(_Keyed)


class RecentKeys:
    """The keys of one table within a look-back of `lookback_us`. Only the writing thread uses it."""

    def __init__(self, table: str, lookback_us: int) -> None:
        self._table, self._lookback_us, self._filter = table, lookback_us, KeyFilter(lookback_us)

    def load(self, connection: duckdb.DuckDBPyConnection, now_us: int) -> None:
        """Read the keys of the look-back into memory."""
        rows = connection.execute(
            f"SELECT {digest_sql('delivery_key')}, epoch_us(ingest_time) AS us FROM {quote(self._table)} "  # noqa: S608 - quoted
            "WHERE ingest_time >= make_timestamp($from_us::BIGINT) "
            f"UNION ALL SELECT digest, epoch_us(ingest_time) FROM {RECENT_KEYS} "
            "WHERE table_name = $table AND ingest_time >= make_timestamp($from_us::BIGINT) ORDER BY us",
            {"table": self._table, "from_us": now_us - self._lookback_us},
        )
        while part := rows.fetchmany(_LOADED_ROWS):
            for digest, stamp_us in part:
                self._filter.add(bytes.fromhex(digest), stamp_us)

    def known(self, connection: duckdb.DuckDBPyConnection, keys: Sequence[str], stamp_us: int) -> list[str]:
        """Return those of different `keys` that a row stamped `stamp_us` repeats, and remember all.

        Raises:
            duckdb.Error: the file cannot be read.
        """
        digests = [digest_of(key) for key in keys]
        candidates = [key for key, digest in zip(keys, digests, strict=True) if self._filter.may_have(digest)]
        for digest in digests:
            self._filter.add(digest, stamp_us)
        if not candidates:
            return []
        recent = "ingest_time >= make_timestamp($from_us::BIGINT)"
        sql = f"""\
SELECT delivery_key FROM {quote(self._table)} WHERE {recent} AND delivery_key IN (SELECT unnest($keys))
UNION
SELECT key
FROM (SELECT unnest($keys) AS key)
WHERE {digest_sql("key")} IN (SELECT digest FROM {RECENT_KEYS} WHERE table_name = $table AND {recent})"""  # noqa: S608 - quoted, constants
        parameters = {"keys": candidates, "table": self._table, "from_us": stamp_us - self._lookback_us}
        return [key for (key,) in connection.execute(sql, parameters).fetchall()]

    def refresh(self, connection: duckdb.DuckDBPyConnection, keys: Sequence[str], stamp_us: int) -> None:
        """Note in the file that copies with these keys were dropped: each hides the copies within the look-back."""
        connection.execute(
            f"DELETE FROM {RECENT_KEYS} WHERE table_name = $table AND ingest_time < make_timestamp($from_us::BIGINT)",  # noqa: S608 - a constant
            {"table": self._table, "from_us": stamp_us - self._lookback_us},
        )
        rows = "SELECT unnest($keys) AS delivery_key, make_timestamp($stamp_us::BIGINT) AS ingest_time"
        remember(connection, self._table, rows, {"keys": keys, "stamp_us": stamp_us})


def remember(connection: duckdb.DuckDBPyConnection, table: str, rows: str, parameters: Mapping[str, Any]) -> None:
    """Note the keys of rows that `table` does not have; `rows` is the query of `delivery_key` and `ingest_time`."""
    connection.execute(
        f"INSERT INTO {RECENT_KEYS} SELECT $table, {digest_sql('delivery_key')}, ingest_time FROM ({rows})",  # noqa: S608 - constants
        {"table": table, **parameters},
    )


def key_of(row: bytes) -> str:
    """Return the `delivery_key` of an encoded row."""
    return _keyed.decode(row).delivery_key


class KeyFilter:
    """A Bloom filter whose keys expire: in generations, each of which is dropped a look-back after its last key."""

    def __init__(self, lookback_us: int) -> None:
        self._lookback_us = lookback_us
        self._generations: list[_Generation] = []

    def add(self, digest: bytes, stamp_us: int) -> None:
        """Add a key; stamps ascend."""
        latest = self._generations[-1] if self._generations else None
        if latest is None or latest.room == 0 or stamp_us - latest.first_us > self._lookback_us // 4:
            wanted = min(max(4 * latest.count, _MIN_KEYS), _MAX_KEYS) if latest else _MIN_KEYS
            oldest_us = stamp_us - self._lookback_us
            self._generations = [each for each in self._generations if each.last_us >= oldest_us]
            latest = _Generation(1 << (wanted - 1).bit_length(), stamp_us)
            self._generations.append(latest)
        latest.add(_numbers(digest), stamp_us)

    def may_have(self, digest: bytes) -> bool:
        """Return False if the key was surely not added within the look-back."""
        numbers = _numbers(digest)
        for each in self._generations:  # noqa: SIM110 - a generator would take a quarter longer
            if each.may_have(numbers):
                return True
        return False


_numbers = Struct("<4I").unpack


class _Generation:
    def __init__(self, keys: int, first_us: int) -> None:
        self.room, self.count = keys, 0
        self.first_us = self.last_us = first_us
        self._bits, self._mask = bytearray(keys * _BITS_A_KEY // 8), keys * _BITS_A_KEY - 1

    def add(self, numbers: Iterable[int], stamp_us: int) -> None:
        bits, mask = self._bits, self._mask
        for number in numbers:
            place = number & mask
            bits[place >> 3] |= 1 << (place & 7)
        self.room, self.count, self.last_us = self.room - 1, self.count + 1, stamp_us

    def may_have(self, numbers: Iterable[int]) -> bool:
        bits, mask = self._bits, self._mask
        for number in numbers:
            place = number & mask
            if not bits[place >> 3] >> (place & 7) & 1:
                return False
        return True
