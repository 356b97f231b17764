"""Record types of one table: what the first one refuses, the second one takes."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Brief(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record whose note is short."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    note: Annotated[str, Meta(max_length=5)]


class Wordy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same record, after somebody found that notes may be long."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    note: str
