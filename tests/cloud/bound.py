"""What a run may cost, from list prices and from limits that the run itself keeps. Pure."""

import msgspec

# On-demand analysis in the dearest region, and the Storage Write API
# (https://cloud.google.com/bigquery/pricing, November 2026). A query bills at least 10 MB for each table that it reads.
ANALYSIS_PER_TIB, WRITE_PER_GIB = 9.0, 0.03
MIN_BYTES_BILLED, TABLES_IN_A_QUERY = 10 * 2**20, 3
QUERIES_PER_TEST = 20
"""Several times as many as the suite makes on average (3 where it was counted); a run that makes more is ended."""
WRITTEN_PER_TEST = 16 * 2**20
FRESH_READS = 512 * 2**20
"""More than the measurement of fresh reads writes, and reads: 33 MB, and four queries."""


class Bound(msgspec.Struct, frozen=True):
    """The limits of a run of `tests` tests."""

    tests: int

    @property
    def queries(self) -> int:
        """How many queries it may make."""
        return self.tests * QUERIES_PER_TEST

    @property
    def dollars(self) -> float:
        """What it may cost at list prices, without the free amounts of every month."""
        read = self.queries * TABLES_IN_A_QUERY * MIN_BYTES_BILLED + FRESH_READS
        return read / 2**40 * ANALYSIS_PER_TIB + self._written_gib * WRITE_PER_GIB

    @property
    def _written_gib(self) -> float:
        return (self.tests * WRITTEN_PER_TEST + FRESH_READS) / 2**30

    def line(self) -> str:
        """Return the bound for a person."""
        return (
            f"{self.tests} tests, at most {self.queries:,} queries of {TABLES_IN_A_QUERY} tables of 10 MB and "
            f"{self._written_gib:.1f} GiB of appends: at most ${self.dollars:.2f} at list prices"
        )
