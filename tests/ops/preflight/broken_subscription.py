"""What can be broken in a push subscription, each alone: the check that looks at it, and a part of its cure."""

from tests.ops.preflight.breaking import Break, change, inside, lose, variables
from tests.support.google_cloud import project as google

SUBSCRIPTION: list[tuple[str, str, Break, str]] = [
    ("the subscription is detached", "subscription", change(google.SUBSCRIPTION, topic="_deleted-topic_"), "apply"),
    ("the subscription is in error", "subscription", change(google.SUBSCRIPTION, state="RESOURCE_ERROR"), "console"),
    (
        "the subscription expires",
        "subscription",
        change(google.SUBSCRIPTION, expirationPolicy={"ttl": "2678400s"}),
        "terraform apply",
    ),
    (
        "the subscription expires by default",
        "subscription",
        lose(google.SUBSCRIPTION, "expirationPolicy"),
        "terraform apply",
    ),
    ("a short ack deadline", "subscription-clocks", change(google.SUBSCRIPTION, ackDeadlineSeconds=10), "both sides"),
    ("no retry policy", "subscription-clocks", lose(google.SUBSCRIPTION, "retryPolicy"), "both sides"),
    ("a look-back that is too short", "subscription-clocks", variables(SLUICE_RETRY_BACKOFF_MAX_S="300"), "both sides"),
    ("no dead letters", "subscription-dead-letters", lose(google.SUBSCRIPTION, "deadLetterPolicy"), "both sides"),
    (
        "dead letters too early",
        "subscription-dead-letters",
        inside(google.SUBSCRIPTION, "deadLetterPolicy", maxDeliveryAttempts=5),
        "both sides",
    ),
    ("no pushes", "subscription-push", change(google.SUBSCRIPTION, pushConfig={}), "pushes = true"),
    (
        "pushes go elsewhere",
        "subscription-push",
        inside(google.SUBSCRIPTION, "pushConfig", pushEndpoint="https://old.run.app/pubsub/push"),
        "both sides",
    ),
    (
        "unwrapped without metadata",
        "subscription-push",
        inside(google.SUBSCRIPTION, "pushConfig", noWrapper={}),
        "write_metadata",
    ),
    (
        "a filter",
        "subscription-push",
        change(google.SUBSCRIPTION, filter='attributes.kind = "order"'),
        "make a subscription without",
    ),
    (
        "exactly-once delivery",
        "subscription-push",
        change(google.SUBSCRIPTION, enableExactlyOnceDelivery=True),
        "turn it off",
    ),
    ("no token", "subscription-token", inside(google.SUBSCRIPTION, "pushConfig", oidcToken=None), "both sides"),
    (
        "another audience",
        "subscription-token",
        inside(google.SUBSCRIPTION, "pushConfig", "oidcToken", audience="other"),
        "both sides",
    ),
    (
        "another principal",
        "subscription-token",
        inside(google.SUBSCRIPTION, "pushConfig", "oidcToken", serviceAccountEmail="other@example.com"),
        "both sides",
    ),
]
