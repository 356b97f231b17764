"""Everything a laptop needs instead of Google Cloud: a local Pub/Sub, its pusher and the tools around them.

The flow, from a publisher to the service under test:

    publisher ── gRPC or REST ──> pubsub     topics, subscriptions, leases, dead letters
                                     ▼
                                  pusher     POSTs as the real service does: token, window, back-off
                                     │       (flow limits the rate)
                                     ▼
                               /pubsub/push  the service, which checks tokens against issuer

`sluice pubsub` starts all of the above (`stack` wires it), `demo` and `up` start the service too (`environment`);
`bigquery` is a BigQuery on this machine. `publish` uses the running stack. `keep_serving` restarts a service
that has ended; `signing` has the secret that signs canaries and replays. `app` imports nothing from here.
"""
