"""The traceback of an exception in the log holds no token and no value of a record."""

from app.telemetry.redaction import first_line, stack_of
from tests.telemetry.raised import chained


def test_pythons_own_exceptions_about_names_keep_them() -> None:
    """Without the name of the module or file that is missing nobody could help; a library's subclass may quote more."""

    class LostError(OSError):
        pass

    noted = FileNotFoundError(2, "No such file", "secret")
    noted.add_note("of the row 'secret'")
    assert stack_of(ModuleNotFoundError("No module named 'shop'")).endswith("No module named 'shop'")
    assert stack_of(FileNotFoundError(2, "No such file", "/etc/x")).endswith("[Errno 2] No such file: '/etc/x'")
    assert stack_of(ValueError("invalid literal for int() with base 10: 'secret'")).endswith("10: '…'")
    assert stack_of(LostError("no 'secret'")).endswith("no '…'")
    assert "secret" not in stack_of(noted)


def test_the_first_line_leaves_out_what_a_library_quotes_below() -> None:
    """Of an exception or of its text; an error without a text has an empty first line."""
    assert first_line(RuntimeError("Parser Error: syntax\n\nLINE 1: SELECT 'secret'")) == "Parser Error: syntax"
    assert first_line("one line") == "one line"
    assert first_line(ValueError()) == ""


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
    assert len(stack) <= 30_000
    assert stack.startswith("Traceback (most recent call last):\n")
    assert "number 1999 x" in stack
    assert stack.endswith("x…")
