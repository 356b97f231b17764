r"""Redact texts for logs: tokens, keys, passwords, values of records. Pure.

`without_secrets`   removes whatever looks like a secret, anywhere in the text
`without_values`    also removes quoted text: stores quote the value that they reject

    Could not convert string 'O''Hara' to INT32   ->   Could not convert string '…' to INT32

A value can contain quotes itself, so everything from the first quote to the last one is removed; names in backticks
outside the quotes stay. Each pattern visits a character a bounded number of times, whatever the text: an unbounded
repetition is possessive (`++`), or ends before the next place where the pattern could begin.
"""

import re
import traceback
from collections.abc import Iterator

MAX_MESSAGE_CHARS = 8_000
_MAX_STACK_CHARS = 30_000  # an entry of Cloud Logging has at most 256 KiB
_MAX_FRAMES, _MAX_ERRORS = 60, 16
_MAX_FOREIGN_CHARS = 200_000  # a longer text is not a message, and searching it would take milliseconds
_TRACEBACK = "Traceback (most recent call last):\n"  # by which Error Reporting recognizes it
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE = "\nDuring handling of the above exception, another exception occurred:\n\n"
_KEY_PEM = re.compile(
    r"(-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----).*?(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|\Z)", re.DOTALL
)
# `eyJ` is the base64url of `{"`: the start of a JWT, and of any other encoded JSON document.
_TOKENS = re.compile(
    r"(eyJ)[\w.~+/=-]{16,}+|(ya29\.)[\w.~+/=-]{8,}+|(AIza)[\w-]{30,}+|(GOCSPX-)[\w-]{16,}+|(1//0)[\w-]{24,}+"
    # An API key (app/auth/grants.py). Metrics are also called `sluice_…`, in lower case.
    r"|(sluice_)(?=[a-z_-]{0,39}[A-Z0-9]|[\w-]{40})[\w-]{16,}+",
    re.ASCII,
)
_SCHEMES = re.compile(
    r"\b((?:bearer|basic)[\s:]{1,16}+)(?=[\w.~+/-]{0,64}[0-9=]|[\w.~+/=-]{16})[\w.~+/=-]{6,}+", re.ASCII | re.IGNORECASE
)
_HEADERS = re.compile(
    r"((?:authorization|cookie|x-api-key|x-goog-api-key|x-goog-iap-jwt-assertion)"
    r"(?:['\"]?\s{0,4}[:=]|['\"]\s{0,4},)\s{0,4})(?=\S)[^\r\n]++",
    re.IGNORECASE,
)
_UP_TO_THE_END = r"(?:'[^']*+'|\"[^\"]*+\"|[^\s&,;<>'\")]++)"
_PARAMETERS = re.compile(
    r"([?&;](?:key|code|sig|signature|auth|x-goog-[a-z-]{1,32}|x-amz-[a-z-]{1,32})="
    r"|(?:password|passwd|pwd|secret|token|credentials?|api[_-]?key)=)" + _UP_TO_THE_END,
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(://)[^\s/]+(?=@)")
# An apostrophe does not begin a quotation; b'…' does, which is how Python shows bytes.
_OPENING_QUOTE = re.compile(r"\"|(?:(?<!\w)|(?<=\b[bBrRuU]))'")


def without_secrets(text: str) -> str:
    """Return `text` with `…` for whatever looks like a secret.

    Secrets are private keys (PEM), JWTs, Google's tokens and keys, our API keys, the values of headers and parameters
    that usually hold such, and users and passwords in URLs.
    """
    for pattern in (_KEY_PEM, _TOKENS, _SCHEMES, _HEADERS, _PARAMETERS, _USER_INFO):
        text = pattern.sub(_masked, text)
    return text


def without_values(text: str) -> str:
    """Return `text` without secrets, and with `…` for everything from its first quotation to the end of its last.

    A text that is too long to read is replaced by its length.
    """
    if len(text) > _MAX_FOREIGN_CHARS:
        return f"({len(text):,} characters)"
    opening = _OPENING_QUOTE.search(text)
    if opening is None:
        return without_secrets(text)
    begin = opening.end()
    end = _last_closing_quote(text, begin)  # a truncated quotation ends with the text
    return without_secrets(text[:begin]) + "…" + without_secrets(text[end:])


def first_line(error: BaseException | str) -> str:
    """Return the first line of an error's text; libraries quote rows, SQL or traces from the second line on."""
    return str(error).partition("\n")[0]


def stack_of(error: BaseException) -> str:
    """Return the traceback of an exception, after those of what led to it, as Python prints it, at most 30,000 long.

    It has lines of code and no values: messages and notes of exceptions are redacted one by one, because code quotes
    too. Of a text that is too long the end is kept, which says most.
    """
    text = without_secrets("".join(_tracebacks(error, set()))).rstrip("\n")
    return text if len(text) <= _MAX_STACK_CHARS else f"{_TRACEBACK}…{text[len(_TRACEBACK) + 1 - _MAX_STACK_CHARS :]}"


def _tracebacks(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    context = None if error.__suppress_context__ else error.__context__
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for each in (error.__cause__, context, *members):
        if each is not None and id(each) not in seen and len(seen) < _MAX_ERRORS:
            yield from _tracebacks(each, seen)
            yield _CAUSED if each is error.__cause__ else _MEANWHILE
    yield _TRACEBACK
    yield from traceback.format_tb(error.__traceback__, -_MAX_FRAMES)  # the innermost ones
    message = "".join(traceback.format_exception_only(error))
    yield cut(message if _quotes_names(error) else without_values(message), MAX_MESSAGE_CHARS) + "\n"


def _quotes_names(error: BaseException) -> bool:
    """Return whether it is one of Python's own exceptions about missing modules, names and files."""
    is_pythons = type(error).__module__ == "builtins" and not getattr(error, "__notes__", ())
    return is_pythons and isinstance(error, ImportError | NameError | AttributeError | OSError)


def cut(text: str, max_chars: int) -> str:
    """Return `text`, truncated at its end if it is longer than `max_chars`."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def _masked(secret: re.Match[str]) -> str:
    return f"{secret[secret.lastindex or 0]}…"


def _last_closing_quote(text: str, begin: int) -> int:
    """Return where the last quotation after `begin` ends: at its closing quote, or at the end of `text`."""
    double, single = text.rfind('"', begin), text.rfind("'", begin)
    while single > double and _goes_on(text, single + 1):  # an apostrophe
        single = text.rfind("'", begin, single)
    end = max(double, single)
    return end if end >= begin else len(text)


def _goes_on(text: str, position: int) -> bool:
    return position < len(text) and (text[position].isalnum() or text[position] == "_")
