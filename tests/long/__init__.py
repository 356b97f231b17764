"""Long runs of the service, started by its command: four plans of load, faults, a ledger and a verdict.

    chaos     two instances over a BigQuery that misbehaves are killed under load: nothing is lost, nothing twice
    soak      one instance for half an hour, with pauses: nothing grows, the ledger is exact
    attack    small inputs, slow readers, idle sockets, and what the neighbours of each one feel
    fuzz      unexpected requests, and oracles that need no expected answer

    messages  what is sent, which of it is poison, what goes wrong when: all from a seed, nothing but values
    load      Pub/Sub's role: pushes over HTTP, and again until it is answered 2xx
    reader    follows a feed by its cursors meanwhile
    crowd     readers and tails: the traffic whose answers nobody keeps
    fleet     the service as processes that are killed and terminated while they work
    store     a BigQuery that keeps what it takes (local-bigquery), behind a server that misbehaves (weather)
    run       the load while the feeds are followed, and the feeds read again
    ledger    compares what was sent, answered, read and stored: a list of what is wrong, in words
    growth    samples of memory, descriptors and threads, and whether they are flat
    result    counts and what was wrong, as text

`python -m tests.long --help`, or `make chaos`, `make soak`, `make attack` and `make fuzz`, run them; each has a short
form in the suite.
"""
