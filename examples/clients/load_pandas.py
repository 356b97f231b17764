"""Load records into pandas, and later only what is new: Parquet files that grow by one a run.

Install httpx, pandas and pyarrow, then: python load_pandas.py http://127.0.0.1:8080 records/
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pandas as pd  # type: ignore[import-untyped]  # it comes without types
import pyarrow.ipc
import pyarrow.parquet

START = "-P7D"  # where to begin when the folder is new
QUERY = {"limit": "all", "format": "arrow"}  # and filters or `fields`; for others take another folder


def load(client: httpx.Client, position: dict[str, str]) -> tuple[pyarrow.Table, str]:
    """Return all records from `position` on, and the cursor behind them."""
    answer = client.get("/v1/records", params=QUERY | position)  # an answer that breaks off is an httpx.TransportError
    answer.raise_for_status()
    table = pyarrow.ipc.open_stream(answer.content).read_all()
    return table, answer.headers["Sluice-Resume-Cursor"]


def update(client: httpx.Client, folder: Path) -> pd.DataFrame:
    """Add what is new to `folder`, and return all of it.

    A file counts once state.json does; a run that was cut short before leaves one that the next run writes again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.json"
    known: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {"files": 0, "cursor": None}
    table, cursor = load(client, {"cursor": known["cursor"]} if known["cursor"] else {"since": START})
    files = known["files"] + (1 if table.num_rows else 0)
    if table.num_rows:
        pyarrow.parquet.write_table(table, folder / f"{files:06}.parquet")
    draft = folder / "state.json.draft"
    draft.write_text(json.dumps({"files": files, "cursor": cursor}))
    draft.replace(state)
    parts = [pd.read_parquet(folder / f"{number:06}.parquet") for number in range(1, files + 1)]
    return pd.concat(parts, ignore_index=True) if parts else table.to_pandas()


def main(url: str, folder: str) -> None:
    """Update the folder, and show what is in it."""
    token = os.environ.get("API_TOKEN")  # an API key or a Google ID token, where the service wants one
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=600) as client:
        frame = update(client, Path(folder))
    print(f"{len(frame)} records")
    print(frame.tail())


if __name__ == "__main__":
    main(*sys.argv[1:])
