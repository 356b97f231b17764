"""Load records into a DuckDB file as Arrow, and later only what is new.

Install httpx, duckdb and nanoarrow, then: python load_duckdb.py http://127.0.0.1:8080 records.duckdb
"""

import os
import sys
import tempfile
from pathlib import Path

import duckdb
import httpx
import nanoarrow  # type: ignore[import-untyped]  # it comes without types

START = "-P7D"  # where to begin when the file is new
QUERY = {"limit": "all", "format": "arrow"}  # and filters or `fields`; for others take another file


def download(client: httpx.Client, position: dict[str, str], path: Path) -> str:
    """Write all records from `position` on to `path` as an Arrow stream; return the cursor behind them."""
    with client.stream("GET", "/v1/records", params=QUERY | position) as answer, path.open("wb") as file:
        answer.raise_for_status()
        file.writelines(answer.iter_bytes())  # raises an httpx.TransportError where the answer breaks off
        return answer.headers["Sluice-Resume-Cursor"]


def update(client: httpx.Client, store: duckdb.DuckDBPyConnection) -> int:
    """Add what is new and the cursor behind it, in one transaction; return how many records there are now."""
    store.execute("CREATE TABLE IF NOT EXISTS position (cursor VARCHAR)")
    row = store.execute("SELECT cursor FROM position").fetchone()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.arrow"
        cursor = download(client, {"cursor": row[0]} if row else {"since": START}, path)
        store.begin()
        for statement in (
            "CREATE TABLE IF NOT EXISTS records AS FROM new WITH NO DATA",
            "INSERT INTO records FROM new",
        ):
            store.register("new", nanoarrow.ArrayStream.from_path(path))  # a stream can be read once
            store.execute(statement)
        store.execute("DELETE FROM position")
        store.execute("INSERT INTO position VALUES (?)", [cursor])
        store.commit()
    (count,) = store.execute("SELECT count(*) FROM records").fetchall()[0]
    return int(count)


def main(url: str, path: str) -> None:
    """Update the file."""
    token = os.environ.get("API_TOKEN")  # an API key or a Google ID token, where the service wants one
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=600) as client, duckdb.connect(path) as store:
        print(f"{update(client, store)} records")


if __name__ == "__main__":
    main(*sys.argv[1:])
