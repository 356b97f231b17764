"""A local Pub/Sub: one state machine, served over gRPC and REST on one port.

`message`, `subscription` and `broker` hold the rules and do no I/O; `service` translates the public protobuf types to
them. `grpc_api` and `rest_api` are two thin tables over `service`; `server` puts both behind one address, as the
official emulator does (`front` detects the protocol). `waiting` waits for deliveries, `errors` are the refusals, and
`command` is `sluice pubsub`. `updates` says what UpdateSubscription may change, and `ask` is
`sluice pubsub status` and `update`.
"""
