"""A local Pub/Sub: one state machine, served over gRPC and REST.

message        messages, refusals, and the real service's limits
subscription   one subscription: ready, leased, dead-lettered; pure
broker         topics and subscriptions, and waiting for deliveries
api            the remote methods: publish, pull, acknowledge, update a subscription
command        `sluice pubsub`
"""
