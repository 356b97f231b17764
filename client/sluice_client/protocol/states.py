"""States: of each id the latest version."""

from collections.abc import Sequence

import msgspec

from sluice_client.protocol.effects import Steps
from sluice_client.protocol.pages import RawPage, walk
from sluice_client.protocol.requests import Feed, Range
from sluice_client.protocol.retry import RetryPolicy


def state_of(feed: Feed) -> Feed:
    """Return what is read to get the state of these records.

    Raises:
        ValueError: they are rejects.
    """
    if feed.rejects:
        raise ValueError("rejected records have no state")
    return msgspec.structs.replace(feed, state=True)


def read(feed: Feed, as_of: str, policy: RetryPolicy, *, fields: Sequence[str] = ()) -> Steps[RawPage, None]:
    """Emit the pages of a state; raises as `pages.walk` and `state_of`."""
    return walk(state_of(feed), Range(as_of=as_of), policy, fields=fields, order="")
