"""A local Pub/Sub: one state machine, served over gRPC and REST.

`message`, `subscription` and `broker` hold the rules and do no I/O; `service` translates the public protobuf types to
them. `grpc_api` and `rest_api` serve its methods, REST on the issuer's port (`control`). `waiting` waits for
deliveries, `errors` are the refusals, and `command` is `sluice pubsub`, `ask` its `status` and `update`.
"""
