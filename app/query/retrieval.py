"""A parsed request for rows. Pure."""

import msgspec

from app.query.formats.negotiation import Format
from app.query.params.page import Now, PageRequest
from app.query.scan import Scan
from app.schema.columns import Column
from app.stores.query import Condition


class View(msgspec.Struct, frozen=True):
    """A view of a table: some of its columns, and the rows that match the conditions."""

    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...] = ()


class Retrieval(msgspec.Struct, frozen=True, kw_only=True):
    """A request for rows: its parameters, the scan, the view of the table, and the format."""

    asked: PageRequest
    scan: Scan
    view: View
    format: Format
    now: Now
