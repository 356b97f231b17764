"""Attributes that hide records from readers have power with a signature, and none without."""

import base64
from typing import Any

import msgspec
import pytest

from app.auth.signatures import CANARY, NO_PROOFS, SIGNATURE, Proofs, canary_signature, replay_signature
from app.ingest.decode.envelope import Message, open_push
from sluice.testing.service import CANARY as BEAT
from sluice.testing.service import GOOD, SETTINGS, running

SECRET = "sixteen characters at least"
PROOFS, DATA = Proofs(SECRET), b"{}"
OWN = "7:1769860800000000"
BEATS = canary_signature(SECRET)


def opened(attributes: dict[str, str], proofs: Proofs = PROOFS) -> list[Message]:
    """Return the message as a wrapped and as an unwrapped push bring it."""
    time, inner = "2026-01-31T12:00:00Z", {"data": "e30=", "messageId": "7", "attributes": attributes}
    headers = {b"x-goog-pubsub-message-id": b"7", b"x-goog-pubsub-publish-time": time.encode()}
    headers |= {name.encode(): value.encode() for name, value in attributes.items()}
    body = msgspec.json.encode({"message": inner | {"publishTime": time}})
    return [open_push({}, body, proofs), open_push(headers, DATA, proofs)]


def stored(attributes: dict[str, str], proved: set[str]) -> dict[str, str]:
    """Return the attributes to be stored."""
    return {
        name if name in proved or not name.startswith("sluice-") else f"unsigned-{name}": value
        for name, value in attributes.items()
        if name != SIGNATURE
    }


def signed(key: str, data: bytes = DATA, secret: str = SECRET) -> dict[str, str]:
    """Return the attributes of a replay."""
    return {"sluice-delivery-key": key, "sluice-signature": replay_signature(secret, key, data)}


@pytest.mark.parametrize(
    ("attributes", "keys"),
    [
        ({}, (f"{OWN}:0", f"{OWN}:1")),
        ({"sluice-heartbeat": "1", "sluice-signature": BEATS}, (f"heartbeat:{OWN}:0", f"heartbeat:{OWN}:1")),
        ({"sluice-heartbeat": "no", "sluice-signature": BEATS}, (f"heartbeat:{OWN}:0", f"heartbeat:{OWN}:1")),
        ({"sluice-heartbeat": "", "sluice-signature": BEATS}, (f"{OWN}:0", f"{OWN}:1")),
        (signed("6:1:2"), ("6:1:2", f"{OWN}:1")),
        (signed("heartbeat:6:1:2"), ("heartbeat:6:1:2", f"heartbeat:{OWN}:1")),
        (signed("6:1:2") | {"sluice-heartbeat": "1"}, ("6:1:2", f"{OWN}:1")),
    ],
    ids=["none", "heartbeat", "any value", "no value", "replay", "replay of a canary", "replay of an unproved one"],
)
def test_a_signed_mark_has_its_power(attributes: dict[str, str], keys: tuple[str, str]) -> None:
    """A canary's keys say that it is one; a replay has the key of what it replays, whatever that was."""
    for message in opened(attributes):
        assert (message.delivery_key(0), message.delivery_key(1)) == keys
        assert message.is_canary == keys[1].startswith("heartbeat:")
        assert (message.key, message.unproved) == (OWN, "")
        assert message.attributes == stored(attributes, {"sluice-delivery-key", *[CANARY] * message.is_canary})


@pytest.mark.parametrize("proofs", [PROOFS, NO_PROOFS], ids=["secret", "no secret"])
@pytest.mark.parametrize(
    ("attributes", "unproved"),
    [
        ({"sluice-heartbeat": "1"}, CANARY),
        ({"sluice-heartbeat": "1", "sluice-signature": ""}, CANARY),
        ({"sluice-heartbeat": "1", "sluice-signature": "é" * 32}, CANARY),
        ({"sluice-heartbeat": "1", "sluice-signature": BEATS[:-1]}, CANARY),
        ({"sluice-heartbeat": "1", "sluice-signature": BEATS.upper()}, CANARY),
        ({"sluice-heartbeat": "1", "sluice-signature": canary_signature("another secret")}, CANARY),
        ({"sluice-heartbeat": "1", "sluice-signature": canary_signature("")}, CANARY),
        ({"sluice-heartbeat": "1"} | signed("6:1:0", b"other"), CANARY),
        ({"sluice-delivery-key": "6:1:0"}, "sluice-delivery-key"),
        ({"sluice-delivery-key": "6:1:0", "sluice-signature": BEATS}, "sluice-delivery-key"),
        (signed("6:1:0") | {"sluice-delivery-key": "6:1:1"}, "sluice-delivery-key"),
        (signed("6:1:0", b"another payload"), "sluice-delivery-key"),
        (signed("6:1:0", secret="another secret"), "sluice-delivery-key"),
        (signed("6:1:0", secret=""), "sluice-delivery-key"),
        (signed("6" * 201), "sluice-delivery-key"),
        ({"sluice-signature": BEATS}, ""),
    ],
)
def test_a_mark_without_proof_has_none(proofs: Proofs, attributes: dict[str, str], unproved: str) -> None:
    """Missing, cut, of another secret, key, payload or purpose: an ordinary message, whose mark has another name."""
    for message in opened(attributes, proofs)[: 1 if "é" in str(attributes) else 2]:
        assert [message.delivery_key(0), message.is_canary] == [f"{OWN}:0", False]
        assert message.unproved == unproved
        assert message.attributes == stored(attributes, set())


@pytest.mark.parametrize("proved", [{}, {"sluice-heartbeat": "1", "sluice-signature": BEATS}, signed("6:1:2")])
def test_no_signature_covers_another_attribute_of_the_reserved_names(proved: dict[str, str]) -> None:
    """What the service writes on rejects is forged by nobody; the new name fits into a replay."""
    attributes = {"sluice-payload": "withheld", "sluice-" + "é" * 120 + "abcdefghi": "long", "payload": "mine"} | proved
    others = {"unsigned-sluice-payload": "withheld", "unsigned-sluice-" + "é" * 120: "long", "payload": "mine"}
    for message in opened(attributes):
        assert {name: value for name, value in message.attributes.items() if name not in proved} == others


async def test_a_publisher_cannot_make_its_rejects_unreplayable() -> None:
    """The mark of withheld bytes is the service's own; theirs is stored beside the bytes under another name."""
    async with running() as service:
        assert (await service.push({"id": 7}, sluice_payload="withheld")).status_code == 204
        (reject,) = (await service.client.get("/v1/rejects")).json()["records"]
    assert reject["attributes"] == {"unsigned-sluice-payload": "withheld"}
    assert base64.b64decode(reject["payload"]) == b'{"id":7}'


@pytest.mark.parametrize("secret", ["", SECRET])
def test_the_schedulers_signature_proves_canaries_and_nothing_else(secret: str) -> None:
    """Whoever reads it where Terraform keeps it can mark their own messages as canaries, and replay nothing."""
    proofs, scheduler = Proofs(secret, "scheduled" * 7), {"sluice-signature": "scheduled" * 7}
    for message in opened({"sluice-heartbeat": "1"} | scheduler, proofs):
        assert message.is_canary
    for message in opened({"sluice-delivery-key": "6:1:0"} | scheduler, proofs):
        assert (message.delivery_key(0), message.unproved) == (f"{OWN}:0", "sluice-delivery-key")
    for message in opened({"sluice-heartbeat": "1", "sluice-signature": BEATS}, proofs):
        assert message.is_canary == bool(secret)


@pytest.mark.parametrize("secret", ["", SECRET])
async def test_what_has_no_proof_is_counted_and_logged(secret: str, caplog: pytest.LogCaptureFixture) -> None:
    """The line names the attribute, and neither the key, nor the signature, nor the secret."""
    settings: Any = SETTINGS.replace(signing_secret=secret)
    async with running(settings) as service:
        key = {"sluice_delivery_key": "some-key", "sluice_signature": "some-signature"}
        assert (await service.push(GOOD, message_id="9", **key)).status_code == 204
        assert (await service.push(GOOD, message_id="10", colour="red")).status_code == 204
        assert service.app.instance.metrics.unproved_messages == 1
    (line,) = [record.getMessage() for record in caplog.records if "no valid signature" in record.getMessage()]
    assert line == "message 9: no valid signature of the attribute sluice-delivery-key"
    for private in ("some-key", "some-signature", SECRET):
        assert private not in caplog.text


async def test_no_reader_ever_sees_a_signature() -> None:
    """Neither of a record, nor of a reject, valid or not."""
    async with running() as service:
        for number, attributes in enumerate((BEAT, {"sluice_signature": "mine"})):
            for body in (GOOD, {"id": 7}):
                message_id = f"{number}{body['id']}"
                assert (await service.push(body, message_id=message_id, **attributes)).status_code == 204
        for path in ("/v1/records", "/v1/rejects"):
            answer = await service.client.get(path, params={"heartbeat": "include"} if path == "/v1/records" else {})
            assert len(answer.json()["records"]) == 2
            assert "signature" not in answer.text
