import asyncio
from pathlib import Path

import pytest

from sluice.__main__ import main
from sluice.local.clients import publish_batches
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from tests.local.conftest import SUBSCRIPTION, TOPIC

pytestmark = pytest.mark.usefixtures("pubsub_host")


def messages(broker: Broker) -> list[bytes]:
    """Return the data of what was published."""
    return [delivery.message.data for delivery in broker.pull(SUBSCRIPTION, 10_000)]


async def publish(*arguments: str) -> int:
    """Run `sluice publish` beside the server."""
    return await asyncio.to_thread(main, ["publish", *arguments])


async def test_a_file_of_lines_becomes_messages(
    subscribed: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line is a message with the attributes that were given, in the file's order."""
    file = tmp_path / "records.ndjson"
    file.write_text("".join(f'{{"id": "{number}"}}\n' for number in range(1200)))
    status = await publish(str(file), "--attribute", "data=1", "--attribute", "topic=a=b")
    assert status == 0
    assert capsys.readouterr().out == f"published 1200 records in 1200 messages to {TOPIC}\n"
    deliveries = subscribed.pull(SUBSCRIPTION, 2000)
    assert [d.message.data for d in deliveries] == [b'{"id": "%d"}' % number for number in range(1200)]
    assert deliveries[0].message.attributes == {"data": "1", "topic": "a=b"}


async def test_a_bad_line_is_named_and_nothing_is_published(
    subscribed: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number and the text of each bad line are printed; the good lines wait for a good file."""
    file = tmp_path / "records.ndjson"
    file.write_text('{"id": "1"}\n\n{"id": oops}\n{"id": "2"}\n{"id": "3"\n')
    assert await publish(str(file)) == 1
    complaint = capsys.readouterr().err
    assert "nothing was published" in complaint
    assert "line 3: JSON is malformed" in complaint
    assert '{"id": oops}' in complaint
    assert "line 5: " in complaint
    assert "line 2" not in complaint
    assert messages(subscribed) == []


def test_requests_stay_within_the_limits_and_mix_no_keys() -> None:
    """A request is cut at its number of messages, at its bytes, and where the ordering key changes."""
    drafts = [Draft(b"x" * 10, {}, key) for key in "aaaab"] + [Draft(b"x" * 100, {}, "b")]
    batches = list(publish_batches(drafts, max_messages=3, max_bytes=25))
    assert [[len(draft.data) for draft in batch] for batch in batches] == [[10, 10], [10, 10], [10], [100]]
    assert [draft for batch in batches for draft in batch] == drafts
    assert all(len({draft.ordering_key for draft in batch}) == 1 for batch in batches)
