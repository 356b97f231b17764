"""What is told of an exception, in a log or on a span, holds no token and no value of a record."""

from hypothesis import given
from hypothesis import strategies as st

from app.auth.api_keys import new_key
from app.telemetry.log_lines import MAX_STACK_CHARS, stack_of
from app.telemetry.redaction import (
    MAX_ATTRIBUTE_CHARS,
    cut,
    cut_inside,
    error_text,
    first_line,
    safe_attributes,
    safe_error_type,
)
from tests.telemetry.raised import LibraryError, chained


def test_pythons_own_exceptions_about_names_keep_them() -> None:
    """Without the name of the module or file that is missing nobody could help; a library's subclass may quote more."""

    class LostError(OSError):
        pass

    assert error_text(ModuleNotFoundError("No module named 'shop'")) == "No module named 'shop'"
    assert error_text(FileNotFoundError(2, "No such file", "/etc/x")) == "[Errno 2] No such file: '/etc/x'"
    assert error_text(ValueError("invalid literal for int() with base 10: 'secret'")).endswith("10: '…'")
    assert error_text(LostError("no 'secret'")) == "no '…'"


def test_the_first_line_leaves_out_what_a_library_quotes_below() -> None:
    """Of an exception or of its text; an error without a text has an empty first line."""
    assert first_line(RuntimeError("Parser Error: syntax\n\nLINE 1: SELECT 'secret'")) == "Parser Error: syntax"
    assert first_line("one line") == "one line"
    assert first_line(ValueError()) == ""


def test_an_exception_that_cannot_say_anything_is_no_trouble() -> None:
    """Its class is told all the same."""

    class Mute(Exception):  # noqa: N818 - not the service's
        def __str__(self) -> str:
            raise RuntimeError

    assert "not available" in error_text(Mute())
    assert "Mute" in safe_error_type(Mute())


def test_a_stack_has_its_lines_of_code_and_every_cause() -> None:
    """As Python prints it, so that Error Reporting groups it."""
    stack = stack_of(chained("the value 'secret'"))
    assert stack.startswith("Traceback (most recent call last):\n")
    assert stack.count("Traceback (most recent call last):") == 5
    assert "raise RuntimeError(text) from middle" in stack
    assert "The above exception was the direct cause" in stack
    assert "During handling of the above exception" in stack
    assert "library.errors.LibraryError: the value '…'" in stack
    assert stack.endswith("ExceptionGroup: several (2 sub-exceptions)")
    assert "secret" not in stack


def test_a_stack_is_bounded_whatever_its_chain() -> None:
    """Thousands of causes, in a ring at that, and the longest of texts: the end is kept, which says most."""
    error: BaseException = ValueError("first")
    first = error
    for number in range(2_000):
        following = ValueError(f"number {number} " + "x" * 10_000)
        following.__cause__ = error
        error = following
    first.__cause__ = error
    stack = stack_of(error)
    assert len(stack) <= MAX_STACK_CHARS
    assert "characters omitted" in stack
    assert "number 1999 x" in stack
    assert stack.endswith("x…")


@given(st.text(max_size=200), st.integers(0, 200))
def test_what_is_cut_is_no_longer_than_it_may_be(text: str, size: int) -> None:
    """And what need not be cut is not."""
    assert len(cut(text, max(size, 1))) <= max(size, 1)
    assert cut(text, len(text)) == text == cut_inside(text, len(text))


def test_a_span_gets_the_attributes_that_are_allowed_and_nothing_else() -> None:
    """Names of the list, with plain values; a text without secrets and values, of at most 256 characters."""
    key = new_key()
    given_attributes: dict[str, object] = {
        "db.rows": 3,
        "took": 0.5,
        "sampled": True,
        "route": "/v1/records",
        "error": f"Bad string value: 'secret' with {key}",
        "long": "x" * 1_000,
        "data": {"a": "payload"},
        "raw": b"payload",
        "nothing": None,
        "payload": "payload",
    }
    allowed = set(given_attributes) - {"payload"}
    safe = safe_attributes(given_attributes, allowed)
    assert {name: safe[name] for name in ("db.rows", "took", "sampled", "route")} == {
        "db.rows": 3,
        "took": 0.5,
        "sampled": True,
        "route": "/v1/records",
    }
    assert safe["error"] == "Bad string value: '…' with sluice_…"
    assert len(str(safe["long"])) == MAX_ATTRIBUTE_CHARS
    assert set(safe) == {"db.rows", "took", "sampled", "route", "error", "long"}


def test_the_type_of_an_error_is_its_class_and_no_word_of_it() -> None:
    """A class that was made with a payload for its name is no way round it."""
    assert safe_error_type(ValueError("secret")) == "ValueError"
    assert safe_error_type(LibraryError("secret")) == "library.errors.LibraryError"
    made = type("a payload: 'x'" + "y" * 500, (Exception,), {"__module__": "m"})
    assert safe_error_type(made()).startswith("m.a_payload___x_yyy")
    assert len(safe_error_type(made())) == 128
