"""Everything a laptop needs instead of Google Cloud: a local Pub/Sub, its pusher and the tools around them.

The flow, from a publisher to the service under test:

    publisher ── gRPC or REST ──> dev.pubsub      topics, subscriptions, leases, dead letters
                                     │  Source    (dev.source; or dev.emulator: the official emulator)
                                     ▼
                                 dev.pusher       POSTs as the real service does: token, window, back-off
                                     │            (dev.flow decides how many, dev.push_request what)
                                     ▼
                              /pubsub/push        the service, which checks tokens against dev.issuer

Commands (`python -m dev <command> --help`): `pubsub` starts all of the above (`dev.stack` wires it);
`publish`, `heartbeat`, `redrive`, `replay` and `token` talk to what runs; `demo` and `up` start the service too.
`smoke` sends a record through any running service, and `rollout` gives a revision on Cloud Run its traffic.
`dev.signing` has the secret that heartbeats and replays are signed with. Nothing here is imported by `app`.
"""
