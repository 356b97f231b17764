"""Records of several versions: which type reads them, how they become the newest, and what is rejected."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import RecordReader
from app.ingest.decode.rejects import Reject
from app.record import Versions
from app.schema.table import records_table
from sluice.testing.service import SETTINGS, running
from tests.ingest.reading import LIMITS, read_message
from tests.ingest.scripted import ScriptedAppender
from tests.ingest.versions import BY_ATTRIBUTE, BY_MEMBER, SENT, OrderV1, OrderV2, OrderV3

STORED = {"id": "a", "amount": "12.5", "currency": "EUR", "version": 3}


def read(
    versions: Versions, record: Any, attributes: Mapping[str, str] | None = None
) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Return the rows of a message, without its envelope, and its rejects."""
    table = records_table(versions)
    reader = RecordReader(table, ScriptedAppender().encoder, LIMITS)
    data = record if isinstance(record, bytes) else msgspec.json.encode(record)
    rows, rejects = read_message(reader, Message(key="1:0", data=data, attributes=attributes or {}))
    names = [column.name for column in table.record]
    return [{name: msgspec.json.decode(row.encoded)[name] for name in names} for row in rows], [*rejects]


@pytest.mark.parametrize("name", [*SENT])
def test_every_version_is_stored_as_the_newest(name: str) -> None:
    """Whether an attribute or a member names the version, alone or in an array, the row is that of the newest type."""
    by_member = SENT[name] if name == "1" else SENT[name] | {"version": int(name)}
    attributes = {"order-version": name}
    assert read(BY_ATTRIBUTE, SENT[name], attributes) == ([STORED], [])
    assert read(BY_ATTRIBUTE, [SENT[name]] * 2, attributes) == ([STORED] * 2, [])
    assert read(BY_MEMBER, by_member) == ([STORED], [])
    assert read(BY_MEMBER, [by_member, SENT["1"]]) == ([STORED] * 2, [])


def test_a_record_that_names_no_version_is_one_of_the_oldest() -> None:
    """Its producer is older than the versions."""
    assert read(BY_ATTRIBUTE, SENT["1"]) == ([STORED], [])
    assert read(BY_MEMBER, SENT["1"] | {"version": None}) == ([STORED], [])
    _, (reject,) = read(BY_ATTRIBUTE, SENT["3"])
    assert (reject.field, reject.detail) == ("price", "version 1: Object missing required field `price`")


@pytest.mark.parametrize(
    ("versions", "record", "attributes", "field", "detail"),
    [
        (BY_ATTRIBUTE, SENT["3"], {"order-version": "4"}, None, "unknown version '4' in the attribute `order-version`"),
        (BY_MEMBER, SENT["3"] | {"version": 4}, {}, "version", "unknown version '4' in the member `version`"),
        (BY_MEMBER, SENT["3"] | {"version": {"a": 1}}, {}, "version", "expected one of 1, 2, 3"),
        (BY_MEMBER, SENT["3"] | {"version": "x" * 999}, {}, "version", f"unknown version '\"{'x' * 39}'"),
        (BY_ATTRIBUTE, {"id": "a", "price": "free"}, {}, None, "version 1: the upgrade to version 2 raised ValueError"),
        (
            BY_ATTRIBUTE,
            {"id": "a", "cents": 1, "currency": "eur"},
            {"order-version": "2"},
            "currency",
            "version 2: after the upgrade to version 3: Expected `str` matching regex",
        ),
        (
            BY_ATTRIBUTE,
            {"id": "a", "cents": 10**40},
            {"order-version": "2"},
            "amount",
            "version 2: 2 errors: ",
        ),
        (BY_ATTRIBUTE, {"id": 1, "cents": "x"}, {"order-version": "2"}, "id", "version 2: 2 errors: Expected `str`"),
        (BY_ATTRIBUTE, 3, {"order-version": "2"}, None, "version 2: Expected `object`, got `int`"),
        (BY_MEMBER, 3, {}, None, "Expected `object`, got `int`"),
    ],
)
def test_a_reject_names_the_version(
    versions: Versions, record: Any, attributes: dict[str, str], field: str | None, detail: str
) -> None:
    """A record of an unknown version, one that its version refuses, and one that cannot be upgraded."""
    rows, (reject,) = read(versions, record, attributes)
    assert (rows, reject.reason, reject.field) == ([], "invalid", field)
    assert detail in reject.detail
    assert reject.raw == msgspec.json.encode(record)


class Made(msgspec.Struct, forbid_unknown_fields=True):
    """A version whose upgrade is a function."""

    id: str


@pytest.mark.parametrize(
    ("upgrade", "detail"),
    [
        (lambda made: made, "returned Made: expected OrderV3"),
        (lambda _: None, "returned NoneType: expected OrderV3"),
        (lambda made: OrderV3(id=made, amount=Decimal(1), currency="EUR"), "Expected `str`, got `object`"),
        (lambda made: OrderV3(id=made.id, amount=Decimal(1), currency="eur"), "matching regex"),
        (lambda made: OrderV3(id=made.id, amount=object(), currency="EUR"), "raised TypeError"),  # type: ignore[arg-type]
        (lambda made: made.nothing, "raised AttributeError"),
    ],
)
def test_what_an_upgrade_makes_is_validated(upgrade: Any, detail: str) -> None:
    """A Struct that code makes may hold anything; the newest type has the last word."""
    rows, (reject,) = read(Versions(Made, OrderV3, upgrades={Made: upgrade}), {"id": "a"})
    assert rows == []
    assert detail in reject.detail


@given(st.sampled_from([*SENT]), st.integers(0, 10**9), st.booleans())
def test_a_version_and_its_upgrade_store_the_same(name: str, cents: int, by_member: bool) -> None:  # noqa: FBT001 - drawn
    """The row of an older record is that of the record that its upgrades return."""
    older = {"1": OrderV1(id="a", price=str(cents / 100)), "2": OrderV2(id="a", cents=cents)}
    newest: Any = older.get(name) or OrderV3(id="a", amount=Decimal(cents) / 100, currency="NOK")
    sent = msgspec.to_builtins(newest)
    while not isinstance(newest, OrderV3):
        newest = newest.upgrade()
    attributes = {} if by_member else {"order-version": name}
    rows, rejects = read(BY_MEMBER if by_member else BY_ATTRIBUTE, sent, attributes)
    expected, _ = read(BY_ATTRIBUTE, newest, {"order-version": "3"})
    assert (rows, rejects) == (expected, [])


_Rest = Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest"]})]


class TripV2(msgspec.Struct):
    """The newest version of a type that keeps undeclared members."""

    id: str
    gate: str | None = None
    rest: _Rest = {}


class TripV1(msgspec.Struct):
    """An older version, whose upgrade moves a member out of the rest, or forgets the rest."""

    id: str
    rest: _Rest = {}

    def upgrade(self) -> TripV2:
        """Take the gate out, if that leaves something."""
        others = {name: value for name, value in self.rest.items() if name != "gate"}
        return TripV2(self.id, self.rest["gate"], others) if "gate" in self.rest and others else TripV2(self.id)


@pytest.mark.parametrize(
    ("sent", "version", "stored"),
    [
        ({"id": "a", "x": 1}, "1", {"id": "a", "gate": None, "rest": {"x": 1}}),
        ({"id": "a", "gate": "D5", "x": 1}, "1", {"id": "a", "gate": "D5", "rest": {"x": 1}}),
        ({"id": "a", "gate": "D5", "x": 1}, "2", {"id": "a", "gate": "D5", "rest": {"x": 1}}),
        ({"id": "a"}, "1", {"id": "a", "gate": None, "rest": {}}),
    ],
)
def test_the_rest_of_an_older_version_is_carried_over(
    sent: dict[str, Any], version: str, stored: dict[str, Any]
) -> None:
    """What its own type does not declare is kept, whether or not the upgrade passes it on."""
    versions = Versions(TripV1, TripV2, attribute="v")
    assert read(versions, sent, {"v": version}) == ([stored], [])
    assert read(versions, [sent, sent], {"v": version}) == ([stored] * 2, [])


async def test_dropped_members_are_counted_by_version() -> None:
    """Only the oldest type drops members."""
    async with running(SETTINGS.replace(record="tests.ingest.versions:BY_ATTRIBUTE")) as service:
        for name, record in SENT.items():
            extra = record | ({"more": 1, "most": 2} if name == "1" else {})
            await service.client.post("/v1/records", json=extra, headers={"order-version": name})
        assert service.app.instance.metrics.undeclared_members["dropped", "records"] == 2
