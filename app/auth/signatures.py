"""What signed attributes of a message may do, and their signatures. Pure.

Two attributes affect what readers see:

    sluice-heartbeat       the records only measure, and reads omit them
    sluice-delivery-key    the record replays the rejected one of that delivery key; a second replay is a copy

Any publisher can set an attribute, and either of these hides records from the feed. So they count only with a
`sluice-signature` made with the deployment's secret (`SLUICE_SIGNING_SECRET`). A canary may carry
`SLUICE_HEARTBEAT_SIGNATURE` instead, which proves nothing else. Signatures are removed before attributes are stored, so
readers never see one. Any other attribute whose name begins with `sluice-` is stored under `unsigned-sluice-…`: what
the service itself writes under that prefix, such as `sluice-payload` on rejects, cannot be forged.
"""

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from app.record import CANARY_PREFIX

CANARY, DELIVERY_KEY, SIGNATURE = "sluice-heartbeat", "sluice-delivery-key", "sluice-signature"
MAX_KEY_LENGTH = 200
_RESERVED, _UNSIGNED, _MAX_NAME_BYTES = "sluice-", "unsigned-", 256
"""Pub/Sub limits names, and a replay must not exceed that: https://cloud.google.com/pubsub/quotas#resource_limits."""


class Powers(msgspec.Struct, frozen=True):
    """The powers of a message, and the attributes to be stored.

    `unproved` names the attribute that has no power without a valid signature, for the log and a metric.
    """

    attributes: Mapping[str, str]
    is_canary: bool = False
    replay_of: str = ""
    unproved: str = ""


NO_POWERS = Powers({})


def canary_signature(secret: str) -> str:
    """Return the signature of every canary; it is fixed because schedulers publish a fixed message."""
    return hashlib.sha256(f"heartbeat:{secret}".encode()).hexdigest()


def replay_signature(secret: str, delivery_key: str, data: bytes) -> str:
    """Return the signature of the replay of a rejected record.

    It covers the payload, so anyone who sees a replay on the topic can only repeat it, which makes a copy.
    """
    signed = f"delivery-key:{hashlib.sha256(data).hexdigest()}:{delivery_key}"
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()


class Proofs:
    """Checks signatures against one secret, and against one extra signature for canaries.

    If both are empty, no attribute has any power.
    """

    def __init__(self, secret: str, canary: str = "") -> None:
        self._secret = secret
        self._canaries = tuple(filter(None, (canary_signature(secret) if secret else "", canary)))

    def powers(self, attributes: Mapping[str, str], data: bytes) -> Powers:
        """Return what a message with these attributes and payload may do."""
        if not any(name.startswith(_RESERVED) for name in attributes):
            return Powers(attributes)
        signature, key = attributes.get(SIGNATURE, ""), attributes.get(DELIVERY_KEY, "")
        if key and self._is_replay(signature, key, data):
            is_canary = key.startswith(CANARY_PREFIX)
            proved = {DELIVERY_KEY, CANARY} if is_canary else {DELIVERY_KEY}
            return Powers(_stored(attributes, proved), is_canary, key)
        beats = bool(attributes.get(CANARY))
        if beats and any(_same(signature, right) for right in self._canaries):
            return Powers(_stored(attributes, {CANARY}), is_canary=True)
        return Powers(_stored(attributes, set()), unproved=CANARY if beats else DELIVERY_KEY if key else "")

    def _is_replay(self, signature: str, key: str, data: bytes) -> bool:
        if not self._secret or not signature or len(key) > MAX_KEY_LENGTH:
            return False
        return _same(signature, replay_signature(self._secret, key, data))


def _stored(attributes: Mapping[str, str], proved: set[str]) -> dict[str, str]:
    """Return the attributes without the signature, where those of the reserved names but the proved get another."""
    return {
        name if name in proved or not name.startswith(_RESERVED) else _unsigned(name): value
        for name, value in attributes.items()
        if name != SIGNATURE
    }


def _unsigned(name: str) -> str:
    return (_UNSIGNED + name).encode()[:_MAX_NAME_BYTES].decode(errors="ignore")


def _same(given: str, right: str) -> bool:
    """Compare in a time that does not depend on how much matches."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), right.encode())


NO_PROOFS = Proofs("")
