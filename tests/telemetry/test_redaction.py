"""Nothing that a log or a span says holds a token, a password or a value of a record."""

import io
import logging

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.auth.grants import new_key
from app.telemetry.logs import QUOTES_NAMES, configure_logging
from app.telemetry.redaction import without_secrets, without_values
from tests.telemetry.logged import Terminal, logging_as_before
from tests.telemetry.raised import LibraryError, chained

BASE64URL = st.characters(codec="ascii", categories=["L", "N"], include_characters="-_")
PARTS = st.text(BASE64URL, min_size=20, max_size=60)
JWTS = st.builds(lambda head, claims, signature: f"eyJ{head}.eyJ{claims}.{signature}", PARTS, PARTS, PARTS)
KEYS = st.one_of(st.builds(new_key), st.text(BASE64URL, min_size=43, max_size=43).map("sluice_{}".format))
GOOGLES = st.one_of(PARTS.map("ya29.{}".format), st.text(BASE64URL, min_size=35, max_size=35).map("AIza{}".format))
OPAQUE = st.text(BASE64URL, min_size=20, max_size=60)
PEM = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"
# A secret, and the text that it stands in.
SECRETS = st.one_of(
    st.one_of(JWTS, KEYS, GOOGLES).map(lambda secret: (secret, secret)),
    OPAQUE.map(lambda secret: (secret, PEM.format(secret))),
    OPAQUE.map(lambda secret: (secret, f"Bearer {secret}")),
    OPAQUE.map(lambda secret: (secret, f"authorization: Basic {secret}")),
    OPAQUE.map(lambda secret: (secret, f"(b'Proxy-Authorization', b'Other {secret}')")),
    OPAQUE.map(lambda secret: (secret, f"Cookie: session={secret}; theme=dark")),
    OPAQUE.map(lambda secret: (secret, f"https://example.com/x?page=1&key={secret}&page=2")),
    OPAQUE.map(lambda secret: (secret, f"access_token={secret}")),
    OPAQUE.map(lambda secret: (secret, f"password='{secret} {secret}'")),
    OPAQUE.map(lambda secret: (secret, f"valkey://user:{secret}@cache.internal:6379/0")),
    OPAQUE.map(lambda secret: (secret, f"valkey://:p@{secret}@cache.internal:6379/0")),
)
AROUND = st.text(max_size=30)
# What somebody may have put into a record, quotes included.
VALUES = st.text(min_size=8, max_size=80).filter(lambda value: len(set(value)) >= 6 and value.strip() == value)
PLAIN = st.text(st.characters(codec="ascii", categories=["L", "N", "Z"], include_characters=".,()-`"), max_size=200)


def _lines(record: logging.LogRecord) -> str:
    """Return all that is ever written of `record`: both forms, and what a reader of the JSON sees."""
    written = []
    for stream in (io.StringIO(), Terminal()):
        with logging_as_before():
            configure_logging(stream)
            logging.getLogger().handlers[0].handle(record)
        written.append(stream.getvalue())
    line = msgspec.json.decode(written[0])
    return "".join([*written, line["message"], line.get("stack_trace", "")])


def _record(name: str, message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord(name, logging.ERROR, "file.py", 1, message, arguments, exc_info)


@given(SECRETS, AROUND, AROUND)
def test_a_secret_is_masked_wherever_it_stands(secret: tuple[str, str], before: str, after: str) -> None:
    """Whatever is around it, in a text, a template, an argument, a library's message, an exception or a stack."""
    hidden, shown = secret
    text = f"{before} {shown} {after}"
    assume(hidden not in f"{before} {after}")
    assert hidden not in without_secrets(text)
    assert hidden not in without_values(text)
    for record in (
        _record("sluice.test", text.replace("%", "%%")),
        _record("sluice.test", "it said: %s", text),
        logging.makeLogRecord({"msg": "it said: %s", "args": (text,), **QUOTES_NAMES}),
        _record("sluice.test", "it said: %r", text.encode("utf-8", "backslashreplace")),
        _record("sluice.test", "it said: %(what)s", {"what": text}),
        _record("library", "it said: %s", text),
        _record("sluice.test", "it failed: %s", OSError(text), error=LibraryError(text)),
    ):
        assert hidden not in _lines(record)


@given(VALUES, st.sampled_from(["'", '"']), st.sampled_from(["{}", "{0!r}", "Column `age`: bad {}", "{} to INT32"]))
def test_a_quoted_value_of_a_record_is_masked(value: str, quote: str, words: str) -> None:
    """As DuckDB and BigQuery quote what they refuse: in arguments, in exceptions, in their causes and notes."""
    text = f"Could not convert {words.format(f'{quote}{value}{quote}')} when casting"
    assume(value not in "Could not convert Column `age`: bad to INT32 when casting")
    assume(value not in _lines(_record("sluice.test", "table %s: %s", "records", "it failed")))  # what any line says
    outer = chained(text)
    for record in (
        _record("sluice.test", "table %s: %s", "records", text),
        _record("sluice.test", "table %s: %s", "records", {"id": value, "tags": [value]}),
        _record("sluice.test", "table %s: %s", "records", value.encode("utf-8", "surrogatepass")),
        _record("sluice.test", "table %s: %s", "records", LibraryError(text)),
        _record("sluice.test", "it failed", error=outer),
        _record("asyncio", f"Task exception was never retrieved\nfuture: <Task exception={LibraryError(text)!r}>"),
        _record("library", "refused: %r", value),
    ):
        written = _lines(record)
        assert value not in written
        assert value.encode("unicode_escape").decode() not in written


@given(PLAIN)
def test_a_text_without_anything_of_the_kind_is_left_as_it_is(text: str) -> None:
    """Masking costs whoever reads the log nothing else."""
    assume("bearer" not in text.lower())
    assume("basic" not in text.lower())
    assert without_values(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Could not convert string 'it's secret' to INT32", "Could not convert string '…' to INT32"),
        ('Bad string value: "secret"', 'Bad string value: "…"'),
        ("Column `age` of `t`: bad value 'x'", "Column `age` of `t`: bad value '…'"),
        ("a 'b' c \"d\" e", "a '…\" e"),
        ("b'bytes' were sent", "b'…' were sent"),
        ("it doesn't take 'x' as it isn't", "it doesn't take '…' as it isn't"),
        ("value 'cut off in the mid", "value '…"),
    ],
)
def test_from_the_first_quotation_to_the_end_of_the_last_all_is_masked(text: str, masked: str) -> None:
    """A value may hold quotes, so what stands between two quotations may be a part of one."""
    assert without_values(text) == masked


@given(st.text(st.sampled_from(list("'\"eyJ.aBbearer: =@/?&key-sluice_\n{`")), max_size=300))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    """What is masked stays as it is, and hides nothing new."""
    once = without_secrets(text)
    assert without_secrets(once) == once
