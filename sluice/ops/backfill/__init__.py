"""Store records that exist as files: `sluice backfill SOURCE --as NAME`.

command        the options, and the exit status
objects        the files of a source: a path, a folder, a glob, or gs://
formats        files to items: NDJSON, and which reader a file needs
csv_rows       CSV rows as JSON records
parquet_rows   Parquet rows as JSON records
avro_messages  the messages that a Cloud Storage subscription has written
ledger         the keys of a backfill's records, and which of them are stored
storing        the loop: items to the service's own ingest pipeline, once each
run            the store, the pipeline over it, and each file in turn
progress       the counts, and how they are shown

An item goes through the same pipeline as a pushed message: one validation, the same rejects, a durable append.
"""
