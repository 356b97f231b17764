"""Personal data: what is stored instead, in rows and rejects, in every answer, log and query."""

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import RecordReader
from app.ingest.decode.rejects import STATE
from app.record import RecordTypeError
from app.schema.protection import MARK, Hasher
from app.schema.table import records_table
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.duckdb.store import EmbeddedAppender
from app.streams import load_streams
from sluice.testing.service import SETTINGS, Service, authorization, envelope, running
from tests.auth.callers import KEY, OTHER_KEY, document, key_grant
from tests.ingest.people import CODE_ERRORS, EMAIL, MARKER, SECRET, VERSIONS, Person, person
from tests.ingest.reading import LIMITS, read_message

if TYPE_CHECKING:
    from app.stores.duckdb.store import EmbeddedStore

HASHER = Hasher(SECRET)
TABLE = records_table(Person, hasher=HASHER)
ENCODERS: dict[str, Callable[..., Any]] = {
    "json": EmbeddedAppender(cast("EmbeddedStore", None), TABLE).encoder,
    "protobuf": ProtoRowEncoder(TABLE).encoder,
}
PEOPLE = SETTINGS.replace(record="tests.ingest.people:Person", pii_secret=SECRET)
CONTACT = {"phone": MARK, "city": "Oslo", "mail": HASHER(EMAIL)}
STORED = {
    "id": HASHER(MARKER),
    "visits": 1,
    "email": HASHER(EMAIL),
    "aliases": [HASHER(MARKER), HASHER(EMAIL)],
    "note": None,
    "title": None,
    "contacts": [CONTACT, CONTACT],
    "home": {"mail": HASHER(EMAIL)},
}


def rows_of(
    data: bytes, encoder: str = "json", attributes: dict[str, str] | None = None
) -> tuple[list[bytes], list[Any]]:
    """Return the rows of a message and its rejects."""
    reader = RecordReader(TABLE, ENCODERS[encoder], LIMITS, HASHER)
    rows, rejects = read_message(reader, Message(key="1:0", data=data, attributes=attributes or {}))
    return [row.encoded for row in rows], rejects


def test_a_row_has_the_hashes_and_marks() -> None:
    """What is redacted is null, or the mark where a value is required; what is dropped has no column."""
    ((row,), _) = rows_of(msgspec.json.encode(person()))
    stored = msgspec.json.decode(row)
    assert {name: stored[name] for name in STORED} == STORED
    assert stored["born"] is None
    assert "born" not in {column.name for column in TABLE.columns}


@given(st.text())
def test_a_hash_is_stable_and_is_not_hashed_again(text: str) -> None:
    """Equal texts have equal hashes under one secret, others under another, and a hash stays what it is."""
    hashed = HASHER(text)
    assert hashed == Hasher(SECRET)(text) == HASHER(hashed)
    assert len(hashed) == 69
    assert Hasher(SECRET + "!")(text) != hashed or hashed == text
    assert SECRET not in repr(HASHER)


_VALUES = st.sampled_from([MARKER, 7, None, [MARKER], [[MARKER]], {"a": MARKER}, [{"phone": MARKER, "x": MARKER}], -1])
_CHANGES = st.dictionaries(st.sampled_from([*person(), "unknown"]), _VALUES, max_size=4)


@given(_CHANGES, st.lists(st.sampled_from([*person()]), max_size=3))
def test_no_reject_holds_personal_data(changed: dict[str, Any], missing: list[str]) -> None:
    """Whatever is wrong with a record, neither the bytes of its reject nor its texts hold a value of such a field."""
    sent = {name: value for name, value in person(**changed).items() if name not in missing}
    rows, rejects = rows_of(msgspec.json.encode(sent))
    for row in rows:
        assert MARKER.encode() not in row
    for each in rejects:
        kept = msgspec.json.decode(each.raw)
        kept.pop("visits", None)  # declared as no personal data: what stands there is kept
        assert MARKER not in str(kept)
        assert MARKER not in each.detail + str(each.faults)
        assert each.state == "scrubbed"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (msgspec.json.encode(person())[:-1], ""),
        (msgspec.json.encode(EMAIL), ""),
        (b'{"email":"' + EMAIL.encode() + b'\xff"}', ""),
        (gzip.compress(EMAIL.encode(), mtime=0)[:-3], "gzip"),
        (EMAIL.encode(), "br"),
        (b"[" + msgspec.json.encode(person()) + b",", ""),
    ],
)
def test_bytes_that_are_no_object_are_withheld(data: bytes, encoding: str) -> None:
    """Of what cannot be read, nothing is kept but its length and its keyed hash."""
    reader = RecordReader(TABLE, ENCODERS["json"], LIMITS, HASHER)
    _, (reject,) = read_message(reader, Message(key="1:0", data=data, content_encoding=encoding))
    assert (reject.raw, reject.state) == (b"", "withheld")
    assert (
        f"(the {len(data)} bytes are withheld, as they may hold personal data, {HASHER.of_bytes(data)})"
        in reject.detail
    )


@pytest.mark.parametrize("visits", [*CODE_ERRORS])
@pytest.mark.parametrize("several", [False, True])
def test_the_words_of_a_types_own_code_are_withheld(visits: int, *, several: bool) -> None:
    """They may quote anything, also where they read like those of the decoder or of the service."""
    sent = person(visits=visits)
    _, rejects = rows_of(msgspec.json.encode([sent, sent] if several else sent))
    assert {(each.reason, each.field, each.detail) for each in rejects} == {
        ("invalid", None, "the record is not valid; the text of the error is withheld, as it may quote personal data")
    }


def test_a_replay_of_a_scrubbed_reject_stores_what_the_record_would_have_stored() -> None:
    """Its hashes are not hashed again, once the field that was wrong is right."""
    _, (reject,) = rows_of(msgspec.json.encode(person(visits="x")))
    repaired = msgspec.json.decode(reject.raw) | {"visits": 1}
    ((row,), rejects) = rows_of(msgspec.json.encode(repaired))
    stored = msgspec.json.decode(row)
    assert ({name: stored[name] for name in STORED}, rejects) == (STORED, [])


def test_a_missing_secret_is_named_at_start() -> None:
    """With the fields that need it; commands that only describe do without."""
    with pytest.raises(
        RecordTypeError, match=r"^SLUICE_PII_SECRET is missing: Person\.id, Person\.email, .*pii:hash; set"
    ):
        load_streams(PEOPLE.replace(pii_secret="").store)
    assert load_streams(PEOPLE.replace(pii_secret="").store, only_describes=True).default.name == "records"


@pytest.mark.parametrize(
    ("sent", "version", "state", "kept"),
    [
        ({"id": 7, "mail": EMAIL, "phone": MARKER}, "1", "scrubbed", {"id": 7, "mail": HASHER(EMAIL)}),
        ({"id": "a", "mail": MARKER}, "1", "scrubbed", {"id": "a", "mail": HASHER(MARKER)}),
        ({"id": "a", "mail": EMAIL}, "2", "scrubbed", {"id": HASHER("a"), "mail": MARK}),
        ({"id": "a", "mail": EMAIL}, "9", "withheld", None),
    ],
)
def test_a_reject_is_scrubbed_by_the_version_of_the_record(
    sent: dict[str, Any], version: str, state: str, kept: dict[str, Any] | None
) -> None:
    """Each version says which members hold personal data; of an unknown version nothing is kept."""
    table = records_table(VERSIONS, hasher=HASHER)
    reader = RecordReader(table, ENCODERS["protobuf"], LIMITS, HASHER)
    data, attributes = msgspec.json.encode(sent), {"person-version": version}
    _, (reject,) = read_message(reader, Message(key="1:0", data=data, attributes=attributes))
    assert reject.state == state
    assert (msgspec.json.decode(reject.raw) if reject.raw else None) == kept
    assert MARKER not in reject.detail


async def test_a_message_that_no_stream_takes_is_withheld_if_any_stream_holds_personal_data() -> None:
    """It may be meant for that stream."""
    settings = SETTINGS.replace(streams="tests.ingest.people:STREAMS", pii_secret=SECRET)
    async with running(settings) as service:
        pushed = envelope(msgspec.json.encode(person()), attributes={"kind": "pers0n"})
        answer = await service.client.post("/pubsub/push", content=pushed, headers=authorization())
        assert answer.status_code == 204
        (reject,) = (await service.client.get("/v1/rejects")).json()["records"]
    assert (reject["reason"], reject["payload"], reject["attributes"][STATE]) == ("unroutable", "", "withheld")


async def test_a_reject_of_a_message_that_no_rule_names_is_withheld_if_another_stream_holds_personal_data() -> None:
    """A person without the attribute comes to the first stream, whose type knows of no personal data."""
    settings = SETTINGS.replace(streams="tests.ingest.people:AFTER_VISITS", pii_secret=SECRET)
    async with running(settings) as service:
        await service.push(person(), message_id="1")
        await service.push({"id": "x", "page": 7}, message_id="2", stream="visits")
        await service.push({"id": "x", "page": MARKER}, message_id="3")
        rejects = (await service.client.get("/v1/rejects")).json()["records"]
        assert MARKER not in await everything(service)
    assert [(each["stream"], each["attributes"].get(STATE)) for each in rejects] == [
        ("visits", "withheld"),
        ("visits", None),
        ("visits", "withheld"),
    ]


async def everything(service: Service) -> str:
    """Return all that the API serves."""
    paths = (
        "/v1/records",
        "/v1/rejects",
        "/v1/records?format=csv",
        "/metrics",
        "/v1/records/stats?by=email",
        "/v1/schema",
    )
    return "".join([(await service.client.get(path)).text for path in paths])


async def test_nothing_that_the_service_stores_answers_or_logs_holds_personal_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Pushed or posted, good or bad, in one piece or among others."""
    bad = [person(visits="x"), person(unknown=EMAIL), person(visits=-1)]
    with caplog.at_level(logging.DEBUG):
        async with running(PEOPLE) as service:
            answers = [
                await service.client.post("/v1/records", json=sent) for sent in ([person(), *bad], bad, person())
            ]
            assert [answer.status_code for answer in answers] == [207, 422, 201]
            for number, data in enumerate([msgspec.json.encode(bad), EMAIL.encode(), b"[" + EMAIL.encode()]):
                pushed = envelope(data, str(number))
                answer = await service.client.post("/pubsub/push", content=pushed, headers=authorization())
                assert answer.status_code == 204
            served = await everything(service)
            rejects = (await service.client.get("/v1/rejects")).json()["records"]
    assert len(rejects) == 3 + 3 + 3 + 2
    assert {reject["attributes"][STATE] for reject in rejects} == {"scrubbed", "withheld"}
    texts = [served, caplog.text, *(answer.text for answer in answers)]
    texts += [str(msgspec.json.decode(msgspec.json.encode(reject["payload"]), type=bytes)) for reject in rejects]
    assert [text for text in texts if MARKER in text] == []
    assert HASHER(EMAIL) in served


async def test_a_delivery_key_tests_no_guess_of_a_value_that_is_not_stored() -> None:
    """The key of an idempotent request depends on the secret, and on nothing that differs between instances."""

    async def keys_of(secret: str) -> list[str]:
        async with running(PEOPLE.replace(pii_secret=secret)) as service:
            sent = [person(born=1970), person(born=1971), person(visits="x", born=1970)]
            answers = [
                await service.client.post("/v1/records", json=each, headers={"Idempotency-Key": str(number)})
                for number, each in enumerate(sent)
            ]
            assert [answer.status_code for answer in answers] == [201, 201, 422]
            (reject,) = (await service.client.get("/v1/rejects")).json()["records"]
        return [*(answer.json()["records"][0]["delivery_key"] for answer in answers[:2]), reject["delivery_key"]]

    first, again, other = await keys_of(SECRET), await keys_of(SECRET), await keys_of(SECRET[::-1])
    assert first == again
    assert len({*first, *other}) == 6


async def test_a_grant_can_forbid_filters_on_hashed_fields(tmp_path: Path) -> None:
    """They say whether a guess is right; so do look-ups by a hashed id. Other filters, and reads, are allowed."""
    file, owner = tmp_path / "grants.json", {"Authorization": f"Bearer {OTHER_KEY}"}
    grants = (key_grant(hashed_filters=False), key_grant(OTHER_KEY, name="owner", scopes=["read", "write"]))
    file.write_bytes(document(*grants))
    settings = PEOPLE.replace(grants_file=str(file), api_audience="https://api.example")
    async with running(settings) as service:
        client = service.client
        assert (await client.post("/v1/records", json=person(), headers=owner)).status_code == 201
        client.headers["Authorization"] = f"Bearer {KEY}"
        for path in ("/v1/records", "/v1/records/stats", "/v1/records/tail"):
            for name, value in (("email", EMAIL), ("email.ne", HASHER(EMAIL)), ("home.mail.in", "a,b")):
                refused = await client.get(path, params={name: value})
                assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        refused = await client.get(f"/v1/records/{MARKER}")
        assert (refused.status_code, refused.json()["detail"]) == (
            403,
            "partner-a may not filter by or look up id: the values are hashed",
        )
        shown = await client.get("/v1/records", params={"limit": "all", "format": "ndjson"})
        assert HASHER(EMAIL) in shown.text
        allowed = await client.get("/v1/records", params={"email": EMAIL}, headers=owner)
        assert len(allowed.json()["records"]) == 1


async def test_a_hashed_value_is_found_by_the_value_and_by_its_hash() -> None:
    """Filters, look-ups by id and groups; comparisons of order make no sense and do not exist."""
    async with running(PEOPLE) as service:
        assert (await service.client.post("/v1/records", json=person())).status_code == 201
        other = person(id="other", email="other@example.com")
        assert (await service.client.post("/v1/records", json=other)).status_code == 201
        for wanted in (EMAIL, HASHER(EMAIL)):
            found = await service.client.get("/v1/records", params={"email": wanted})
            assert [record["email"] for record in found.json()["records"]] == [HASHER(EMAIL)]
            found = await service.client.get("/v1/records", params={"home.mail.in": f"{wanted},x"})
            assert len(found.json()["records"]) == 2
        for wanted in (MARKER, HASHER(MARKER)):
            found = await service.client.get(f"/v1/records/{wanted}")
            assert found.json()["email"] == HASHER(EMAIL)
        missing = await service.client.get("/v1/records", params={"email.prefix": MARKER})
        assert (missing.status_code, missing.json()["code"]) == (400, "invalid_parameter")
        assert MARKER not in missing.json()["detail"]
