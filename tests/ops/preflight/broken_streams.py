"""What can be broken for one of several streams that share a topic: what its journeys find, and a part of the text.

The canary and the dead letter of the others arrive.
"""

from collections.abc import Callable
from typing import Any

from app.streams import make_streams
from tests.ops.preflight.breaking import Break, change, inside, missing
from tests.streams.market import STREAMS
from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import PROJECT, SYSTEM, Project
from tests.support.google_cloud.pubsub import HOST

TOPIC = f"projects/{PROJECT}/topics/events"
DEAD = f"projects/{PROJECT}/subscriptions/{SYSTEM}-dead-letters"
FILTERS = {
    "orders": 'attributes.kind = "order"',
    "payments": 'attributes.ce-type = "payment.returned"',
    "visits": 'attributes.kind = "visit" AND attributes.at = "home"',
}
_PAYMENTS, _PAYMENTS_DEAD = f"{google.SUBSCRIPTION}.payments", f"{HOST}{DEAD}.payments"


def share_a_topic(project: Project) -> None:
    """Let all streams' subscriptions, each with its filter, be of one topic; and let all dead letters be kept."""
    project.resources[HOST + TOPIC] = {"name": TOPIC}
    for name in make_streams(STREAMS, default_retention_days=google.RETENTION_DAYS).by_name:
        project.resources[f"{google.SUBSCRIPTION}.{name}"] |= {"topic": TOPIC, "filter": FILTERS[name]}
        topic = f"projects/{PROJECT}/topics/{SYSTEM}-dead-letters.{name}"
        project.resources[HOST + topic] = {"name": topic}
        project.resources[f"{HOST}{DEAD}.{name}"] = {"topic": topic}


def _push_to(path: str) -> Break:
    return inside(_PAYMENTS, "pushConfig", pushEndpoint=f"{google.URL}/pubsub/push{path}")


BROKEN_JOURNEYS: list[tuple[str, Callable[[Project], Any], str, str]] = [
    ("no subscription", missing(_PAYMENTS), "failed", f"there is no subscription projects/{PROJECT}/subscriptions/"),
    ("the topic is deleted", change(_PAYMENTS, topic="_deleted-topic_"), "failed", "its subscription was deleted"),
    ("no such topic", change(_PAYMENTS, topic="projects/web/topics/gone"), "failed", "there is no projects/web/topics"),
    ("no pushes", change(_PAYMENTS, pushConfig={}), "not looked at", "its messages are not pushed"),
    (
        "the filter drops the stream's messages",
        change(_PAYMENTS, filter='attributes.ce-type = "payment.refused"'),
        "failed",
        'whose filter is attributes.ce-type = "payment.refused"',
    ),
    ("pushes go to another stream", _push_to("/visits"), "failed", "it came to the stream visits"),
    ("pushes name no stream", _push_to(""), "failed", "let its subscription push to /pubsub/push/payments"),
]
"""Found by the canary, and by the replay of the dead letter."""
BROKEN_DEAD_LETTERS: list[tuple[str, Callable[[Project], Any], str, str]] = [
    (
        "no topic of dead letters",
        missing(f"{google.DEAD_TOPIC}.payments"),
        "failed",
        f"there is no projects/{PROJECT}/topics/{SYSTEM}-dead-letters.payments",
    ),
    ("nothing keeps dead letters", missing(_PAYMENTS_DEAD), "failed", f"there is no {DEAD}.payments"),
    ("another topic's dead letters are kept", change(_PAYMENTS_DEAD, topic=TOPIC), "failed", f"reach {DEAD}.payments"),
]
