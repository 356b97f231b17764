"""Cut messages into publish requests that stay within the service's limits."""

from collections.abc import Iterable, Iterator

from sluice.local.pubsub.message import Draft

# Half of the service's 10 MB, which counts attributes and protocol overhead, too.
MAX_REQUEST_BYTES = 5_000_000
MAX_REQUEST_MESSAGES = 500


def publish_batches(
    drafts: Iterable[Draft],
    max_messages: int = MAX_REQUEST_MESSAGES,
    max_bytes: int = MAX_REQUEST_BYTES,
) -> Iterator[list[Draft]]:
    """Yield lists of messages, in order, with one ordering key per list.

    A request must not mix ordering keys, as the service requires; a message above `max_bytes` goes alone.
    """
    batch: list[Draft] = []
    size = 0
    for draft in drafts:
        draft_bytes = len(draft.data)
        full = len(batch) >= max_messages or size + draft_bytes > max_bytes
        if batch and (full or batch[0].ordering_key != draft.ordering_key):
            yield batch
            batch, size = [], 0
        batch.append(draft)
        size += draft_bytes
    if batch:
        yield batch
