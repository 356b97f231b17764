"""Declarations of versions: what is refused, and what the commands print."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.record import RecordTypeError, Versions
from app.schema.filters import checked_table
from tests.ingest.versions import BY_ATTRIBUTE, BY_MEMBER, OrderV2, OrderV3


class Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A type without an upgrade."""

    id: str


class Astray(msgspec.Struct, forbid_unknown_fields=True):
    """A type whose upgrade goes elsewhere."""

    id: str

    def upgrade(self) -> Plain:
        """Return another type than the next."""
        return Plain(self.id)


class Silent(msgspec.Struct):
    """A type that says nothing about undeclared members."""

    id: str

    def upgrade(self) -> OrderV3:
        """Return another type than the next."""
        return OrderV3(id=self.id, amount=Decimal(1), currency="EUR")


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """A version that keeps undeclared members, which the next one would lose."""

    id: str
    rest: Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})] = {}

    def upgrade(self) -> OrderV3:
        """Return what is never made."""
        raise AssertionError


@pytest.mark.parametrize(
    ("versions", "reason"),
    [
        (lambda: Versions(OrderV3), "Versions: 1 types: expected at least two"),
        (lambda: Versions(OrderV2, OrderV2), "Versions: two types have the same name"),
        (lambda: Versions(OrderV2, OrderV3, names=["a", "a"]), "Versions: names=('a', 'a'): expected a different"),
        (lambda: Versions(OrderV2, OrderV3, attribute="a", member="b"), "Versions: attribute or member"),
        (lambda: Versions(Plain, OrderV3), "Plain.upgrade: version 1 has no way to become OrderV3: define `def"),
        (lambda: Versions(Astray, OrderV3), "Astray.upgrade: it returns Plain: expected OrderV3"),
        (lambda: Versions(Astray, Plain, member="version"), "Plain.version: the member names the version"),
        (
            lambda: Versions(OrderV2, OrderV3, member="version", names=["old", "new"]),
            "OrderV3.version: the member is a whole number, and the names are not: old, new",
        ),
        (lambda: Versions(Silent, OrderV3), "Silent: undeclared members would be lost"),
        (lambda: Versions(Keeping, OrderV3), "OrderV3: Keeping keeps undeclared members, which this version would"),
    ],
)
def test_a_wrong_declaration_is_refused(versions: Any, reason: str) -> None:
    """Every version is held to the rules for record types, needs a way to the next, and loses nothing on it."""
    with pytest.raises(RecordTypeError) as refusal:
        checked_table(versions())
    assert str(refusal.value).startswith(reason)


def test_an_upgrade_may_be_a_function() -> None:
    """It counts before a method."""
    table = checked_table(Versions(Plain, OrderV3, upgrades={Plain: lambda plain: plain}))
    assert (table.name, table.record_type) == ("records", OrderV3)


def test_the_table_is_that_of_the_newest() -> None:
    """The columns, the id and the filters do not depend on the older versions."""
    plain = checked_table(OrderV3)
    for versions in (BY_ATTRIBUTE, BY_MEMBER):
        table = checked_table(versions)
        assert (table.columns, table.id, table.record_type) == (plain.columns, plain.id, OrderV3)
