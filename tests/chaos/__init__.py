"""The chaos run: everything goes wrong at once, and a ledger says whether anything was lost.

    plan      what is sent, which of it is poison, what goes wrong when: all from a seed, nothing but values
    driver    Pub/Sub's role: pushes over HTTP, and again until it is answered 2xx
    fleet     the service as real processes that are killed and terminated while they work
    store     a BigQuery that keeps what it takes (local-bigquery), behind a server that misbehaves (weather)
    reader    follows the feeds by their cursors meanwhile
    ledger    compares what was sent, answered, read and stored: a list of what is wrong, in words

`python -m tests.chaos --help` (or `make chaos`) runs it.
"""
