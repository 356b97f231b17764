"""Pub/Sub and the service behind it, as far as the preflight's journeys ask them: each push is stored at once.

A message reaches the subscriptions of its topic whose filter it passes. The path of a push endpoint tells the stream; a
push without one is rejected. Of filters only `attributes.KEY = "VALUE"`, joined by AND, is understood.
"""

import re
from datetime import UTC, datetime
from typing import Any

from tests.support.google_cloud.project import PROJECT, Project

HOST = "pubsub.googleapis.com/v1/"
SERVICE = "service/v1/"
"""Where the service answers, below the URL of the double."""
_EQUAL = re.compile(r'attributes\.([\w-]+) = "([^"]*)"')
_PUSH = "/pubsub/push"
Rows = list[dict[str, Any]]


class Journeys:
    """Answers for one project; its topics and subscriptions are the project's resources."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._feeds: dict[str, Rows] = {}
        self._rejects: Rows = []
        self._kept: dict[str, Rows] = {}
        self._count = 0

    def reply(self, path: str, query: dict[str, list[str]], body: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the body of the answer; None if there is no such topic, subscription or path."""
        if path.startswith(SERVICE):
            return {"records": self._found(path.removeprefix(SERVICE), query["message_id"][0])}
        name, _, verb = path.removeprefix(HOST).partition(":")
        if body is None or HOST + name not in self._project.resources:
            return None
        match verb:
            case "publish":
                return {"messageIds": [self._publish(name, each) for each in body["messages"]]}
            case "pull":
                kept = self._kept.get(name, [])
                return {"receivedMessages": [{"ackId": each["messageId"], "message": each} for each in kept]}
            case "acknowledge" | "modifyAckDeadline":  # what a pull has returned is not leased here
                done = body["ackIds"] if verb == "acknowledge" else ()
                self._kept[name] = [each for each in self._kept[name] if each["messageId"] not in done]
                return {}
            case _:
                return None

    def unacknowledged(self) -> int:
        """Return the number of messages that pull subscriptions still keep."""
        return sum(map(len, self._kept.values()))

    def _found(self, path: str, message_id: str) -> Rows:
        rows = self._rejects if path == "rejects" else self._feeds.get(path.split("/")[1], [])
        return [row for row in rows if row["message_id"] == message_id]

    def _publish(self, topic: str, message: dict[str, Any]) -> str:
        self._count += 1
        message_id, now = str(self._count), datetime.now(UTC).isoformat()
        row = {"message_id": message_id, "publish_time": now, "ingest_time": now}
        for path, subscription in self._project.resources.items():
            name = path.removeprefix(HOST)
            if not name.startswith(f"projects/{PROJECT}/subscriptions/") or subscription.get("topic") != topic:
                continue
            if not set(_EQUAL.findall(subscription.get("filter", ""))) <= set(message["attributes"].items()):
                continue
            endpoint = (subscription.get("pushConfig") or {}).get("pushEndpoint", "")
            stream = endpoint.partition(_PUSH)[2].removeprefix("/")
            if not endpoint:
                self._kept.setdefault(name, []).append({**message, "messageId": message_id})
            elif stream:
                self._feeds.setdefault(stream, []).append(row)
            else:
                self._rejects.append({**row, "reason": "unroutable", "detail": "no attribute names a stream"})
        return message_id
