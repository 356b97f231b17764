"""`sluice-client` with small Parquet files, so that kills fall between many: `python -m tests.client.small_files`."""

import functools
import sys

from sluice_client.__main__ import main
from sluice_client.sinks import parquet

_ROWS = 300

if __name__ == "__main__":
    parquet.ParquetSink = functools.partial(parquet.ParquetSink, file_rows=_ROWS)  # type: ignore[assignment,misc]  # a test's
    sys.exit(main())
