"""Store records that exist as files: `sluice backfill SOURCE --as NAME`.

command   the options, and the exit status
sources   the files of a source (a path, a folder, or gs://), and their items: NDJSON, or archived messages
ledger    the keys of a backfill's records, and which of them are stored
storing   the store, and the loop: items to the service's own ingest pipeline, once each

An item goes through the same pipeline as a pushed message: one validation, the same rejects, a durable append.
"""
