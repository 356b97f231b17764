# From a machine that has uv to a record of an own type on the page, without a file of Sluice's repository at hand: each
# line that begins with a word is a command that a person types, and what follows a `<<` is a file that they write.
# tests/page/test_from_nothing.py runs it, with $SLUICE in the place of git+https://github.com/OWNER/sluice.
uv tool install --quiet "$SLUICE"
mkdir payments && cd payments
cat >payments.py <<'FILE'
from typing import Annotated

from msgspec import Meta, Struct


class Payment(Struct, forbid_unknown_fields=True, kw_only=True):
    """A payment, as our bank reports it."""

    payment_id: Annotated[str, Meta(pattern="^P-[0-9]{4}$", examples=["P-0001"], extra={"sluice": ["id"]})]
    amount_cents: Annotated[int, Meta(gt=0, extra={"sluice": ["filter", "aggregate"]})]
FILE
sluice up --record payments:Payment >up.log 2>&1 &
until grep -q 'Ctrl-C stops' up.log; do sleep 0.2; done
export $(grep -o 'PUBSUB_EMULATOR_HOST=[0-9.:]*' up.log)
cat >publish.py <<'FILE'
from google.cloud import pubsub_v1

publisher = pubsub_v1.PublisherClient()
topic = publisher.topic_path("sluice-local", "events")
for number in range(1, 4):
    payload = b'{"payment_id": "P-000%d", "amount_cents": %d}' % (number, 100 * number)
    publisher.publish(topic, payload).result()
FILE
uv run --quiet --no-project --with google-cloud-pubsub python publish.py
