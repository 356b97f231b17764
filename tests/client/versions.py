"""A record whose versions may come in any order, and end."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Version(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of a record."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    number: Annotated[int | None, Meta(extra={"sluice": ["sequence"]})] = None
    is_gone: Annotated[bool | None, Meta(extra={"sluice": ["deleted"]})] = None
