"""A record type whose description makes the OpenAPI document longer than a megabyte."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class Event(Struct, forbid_unknown_fields=True):
    """An event."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]}, description="long " * 250_000)]
    timestamp: Annotated[datetime, Meta(tz=True)]
