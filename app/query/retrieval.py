"""What a request for rows comes to, once its words are understood. Pure."""

import msgspec

from app.query.formats.negotiation import Format
from app.query.params.filters import Condition
from app.query.params.page import Now, PageRequest
from app.query.scan import Scan
from app.schema.columns import Column


class View(msgspec.Struct, frozen=True):
    """What is seen of a table: these of its columns, and the rows that meet these conditions."""

    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...] = ()


class Retrieval(msgspec.Struct, frozen=True, kw_only=True):
    """A request for rows: its parameters, the way through the table, what is seen of it, and how it is written."""

    asked: PageRequest
    scan: Scan
    view: View
    format: Format
    now: Now
