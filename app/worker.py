"""The process that reads large messages, beside the service, which starts it: `python -m app.worker`."""

from app.ingest.decode.reader import RecordReader
from app.ingest.decode.worker import Readers, Start, serve
from app.schema.protection import hasher_of
from app.stores.backend import row_encoder
from app.streams import load_streams


def readers_of(start: Start) -> Readers:
    """Return the reader of each stream, of the declarations that the service has imported, too."""
    hasher = hasher_of(start.store.pii_secret)
    return {
        table.name: RecordReader(table, row_encoder(start.store.backend, table), start.ingest, hasher)
        for table in load_streams(start.store).tables
    }


if __name__ == "__main__":
    serve(readers_of)
