"""Everything a laptop needs instead of Google Cloud: a local Pub/Sub, its pusher and the tools around them.

The flow, from a publisher to the service under test:

    publisher ── gRPC or REST ──> dev.pubsub      topics, subscriptions, leases, dead letters
                                     │  Source    (dev.source; or dev.emulator: the official emulator)
                                     ▼
                                 dev.pusher       POSTs as the real service does: token, window, back-off
                                     │            (dev.flow limits the rate, dev.push_request builds requests)
                                     ▼
                              /pubsub/push        the service, which checks tokens against dev.issuer

Commands (`python -m dev <command> --help`): `pubsub` starts all of the above (`dev.stack` wires it);
`publish`, `canary`, `redrive`, `replay` and `token` use the running stack; `demo` and `up` start the service too.
`drill` breaks one thing on purpose, to be mended with the run-book.
`backfill` stores records that exist as files, as the service would. `preflight` asks Google whether a deployment can
work, and does, and `install` makes one.
`smoke` sends a record through any running service, and `rollout` shifts traffic to a Cloud Run revision.
`dev.local` starts it all for them, and `dev.keep_serving` starts a service again that has ended.
`dev.signing` provides the secret that signs canaries and replays, and `dev.prose` checks the language of documents
and comments. `app` imports nothing from here.
"""
