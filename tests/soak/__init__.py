"""The soak: everything the service does, for half an hour and with faults; then nothing has grown, nothing is lost.

    growth    samples of memory, descriptors, tasks and threads, and whether they are flat: pure
    service   the service with a debug socket: faults, steps of its clock, a look inside
    faults    what happens to appends, from a seed
    issuer    tokens that expire soon, signed by keys that rotate
    load      messages at a steady rate, pushed and posted until they are durable
    crowd     readers, tails, exports, PUTs: the traffic whose answers nobody keeps
    run       all of it together, for so many minutes; the ledger of tests/chaos at its end
    report    what was seen

`python -m tests.soak --help` (or `make soak`) runs it.
"""
