"""A record with personal data in every place that a type can name, and a marker to search for."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.record import Versions
from app.streams import Stream

SECRET = "a secret of the tests, long enough to be one"
MARKER = "jane.doe"
EMAIL = f"{MARKER}@example.com"


class Contact(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A nested Struct."""

    phone: Annotated[str, Meta(extra={"sluice": ["pii:redact"]})]
    city: str = ""
    mail: Annotated[str | None, Meta(extra={"sluice": ["pii:hash"]})] = None


class Home(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A nested Struct with a field to filter by."""

    mail: Annotated[str | None, Meta(extra={"sluice": ["pii:hash", "filter"]})] = None


CODE_ERRORS: dict[int, Callable[[str], Exception]] = {
    -1: lambda value: ValueError(f"{value} cannot have -1 visits"),
    -2: lambda value: ValueError(f"Invalid date of birth: {value}"),
    -3: lambda value: ValueError(f"phone has 7 digits before the point: {value}"),
    -4: lambda value: ValueError(f"unknown version {value} - at `$.{value}`"),
    -5: lambda value: msgspec.ValidationError(f"Expected `{value}`, got `str`"),
    -6: lambda value: msgspec.DecodeError(f"Object missing required field `{value}`"),
    -7: KeyError,
    -8: lambda value: UnicodeDecodeError("utf-8", value.encode(), 0, 1, value),
}
"""What a person's own code raises, by the number of visits."""


class Person(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A person: what is hashed can be looked up, filtered and grouped by."""

    id: Annotated[str, Meta(min_length=1, extra={"sluice": ["id", "pii:hash", "filter"]})]
    visits: int
    email: Annotated[
        str,
        Meta(pattern="@|^hmac:", examples=["ann@example.com"], extra={"sluice": ["pii:hash", "filter", "aggregate"]}),
    ]
    aliases: Annotated[list[str], Meta(extra={"sluice": ["pii:hash"]})] = []
    note: Annotated[dict[str, Any] | None, Meta(extra={"sluice": ["pii:redact"]})] = None
    title: Annotated[str, Meta(extra={"sluice": ["pii:redact"]})] = ""
    born: Annotated[int | None, Meta(extra={"sluice": ["pii:drop"]})] = None
    contacts: list[Contact] = []
    home: Home | None = None

    def __post_init__(self) -> None:
        """Refuse in words that quote a value, some of which look like those of msgspec and of the service."""
        error = CODE_ERRORS.get(self.visits)
        if error is not None:
            raise error(self.email)


class PersonV1(msgspec.Struct, forbid_unknown_fields=True):
    """An older person: the same data under another name."""

    id: str
    mail: Annotated[str, Meta(extra={"sluice": ["pii:hash"]})]
    phone: Annotated[str, Meta(extra={"sluice": ["pii:drop"]})] = ""

    def upgrade(self) -> Person:
        """Return the person with the e-mail under its name today; fail in words that quote it."""
        if "@" not in self.mail:
            raise ValueError(f"{self.mail} is no e-mail address")
        return Person(id=self.id, visits=0, email=self.mail)


VERSIONS = Versions(PersonV1, Person, attribute="person-version")
STREAMS = {"people": Stream(record=VERSIONS, attributes={"kind": "person"})}


class Visit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A type without personal data, whose own check quotes a value."""

    id: str
    page: str

    def __post_init__(self) -> None:
        """Refuse what is no path."""
        if not self.page.startswith("/"):
            raise ValueError(f"{self.page} is no path")


AFTER_VISITS = {"visits": Visit, **STREAMS}
"""The same stream behind one that takes what no rule names."""


def person(**changed: Any) -> dict[str, Any]:
    """Return a person whose values of personal data all hold the marker."""
    contact = {"phone": MARKER, "city": "Oslo", "mail": EMAIL}
    return {
        "id": MARKER,
        "visits": 1,
        "email": EMAIL,
        "aliases": [MARKER, EMAIL],
        "note": {"text": [MARKER]},
        "title": MARKER,
        "born": 1970,
        "contacts": [contact, contact],
        "home": {"mail": EMAIL},
    } | changed
