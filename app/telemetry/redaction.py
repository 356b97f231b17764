r"""Redact texts for logs and spans: tokens, keys, passwords, values of records. Pure.

`without_secrets`   removes whatever looks like a secret, anywhere in the text
`without_values`    also removes quoted text: stores quote the value that they reject

    Could not convert string 'O''Hara' to INT32   ->   Could not convert string '…' to INT32

A value can contain quotes itself, so everything from the first quote to the last one is removed; names in backticks
outside the quotes stay. Each pattern visits a character a bounded number of times, whatever the text: an unbounded
repetition is possessive (`++`), or ends before the next place where the pattern could begin.
"""

import re
from collections.abc import Collection, Mapping

MAX_MESSAGE_CHARS = 8_000
MAX_ATTRIBUTE_CHARS = 256
_MAX_FOREIGN_CHARS = 200_000  # a longer text is not a message, and searching it would take milliseconds
_MAX_TYPE_CHARS = 128
_KEY_PEM = re.compile(
    r"(-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----).*?(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|\Z)", re.DOTALL
)
# `eyJ` is the base64url of `{"`: the start of a JWT, and of any other encoded JSON document.
_TOKENS = re.compile(
    r"(eyJ)[\w.~+/=-]{16,}+|(ya29\.)[\w.~+/=-]{8,}+|(AIza)[\w-]{30,}+|(GOCSPX-)[\w-]{16,}+|(1//0)[\w-]{24,}+"
    # An API key (app/auth/api_keys.py). Metrics are also called `sluice_…`, in lower case.
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


class TrustedText(str):
    """A text for the log that quotes only names, never values of records: its quotations are not redacted."""

    __slots__ = ()


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


def error_text(error: BaseException) -> str:
    """Return the message of an exception, without secrets and values.

    Python's own exceptions about missing modules, names, attributes and files quote only those, so quotes stay.
    """
    try:
        text = str(error)
    except Exception:  # a class's `__str__` may raise anything
        return "(the message is not available)"
    return cut(without_secrets(text) if _quotes_names(type(error)) else without_values(text), MAX_MESSAGE_CHARS)


def first_line(error: BaseException | str) -> str:
    """Return the first line of an error's text; libraries quote rows, SQL or traces from the second line on."""
    return str(error).partition("\n")[0]


def class_name(error: BaseException) -> str:
    """Return the class of an exception as tracebacks name it."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def safe_error_type(error: BaseException) -> str:
    """Return the full class name of an exception, for a span or a metric, without its message."""
    return re.sub(r"[^\w.]", "_", class_name(error), flags=re.ASCII)[:_MAX_TYPE_CHARS]


def safe_attributes(attributes: Mapping[str, object], allowed: Collection[str]) -> dict[str, str | int | float | bool]:
    """Return the attributes that a span may have.

    These have an `allowed` name, and a number, boolean or text as value. Texts are without secrets and values, and
    truncated to 256 characters. Anything else, including None, is dropped.
    """
    safe: dict[str, str | int | float | bool] = {}
    for name, value in attributes.items():
        if name not in allowed:
            continue
        if isinstance(value, str):
            safe[name] = cut(without_values(value), MAX_ATTRIBUTE_CHARS)
        elif isinstance(value, bool | int | float):
            safe[name] = value
    return safe


def cut(text: str, max_chars: int) -> str:
    """Return `text`, truncated at its end if it is longer than `max_chars`."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def cut_inside(text: str, max_chars: int) -> str:
    """Return `text`, shortened in its first half if it is longer than `max_chars`: a stack's end matters most."""
    if len(text) <= max_chars:
        return text
    note = f"\n… {len(text) - max_chars:,} characters omitted …\n"
    kept = max(max_chars - len(note), 0)
    return text[: kept // 4] + note + text[len(text) - (kept - kept // 4) :]


def _masked(secret: re.Match[str]) -> str:
    return f"{secret[secret.lastindex or 0]}…"


_QUOTE_NAMES: tuple[type[BaseException], ...] = (ImportError, NameError, AttributeError, OSError)


def _quotes_names(kind: type[BaseException]) -> bool:
    return kind.__module__ == "builtins" and issubclass(kind, _QUOTE_NAMES)


def _last_closing_quote(text: str, begin: int) -> int:
    """Return where the last quotation after `begin` ends: at its closing quote, or at the end of `text`."""
    double, single = text.rfind('"', begin), text.rfind("'", begin)
    while single > double and _goes_on(text, single + 1):  # an apostrophe
        single = text.rfind("'", begin, single)
    end = max(double, single)
    return end if end >= begin else len(text)


def _goes_on(text: str, position: int) -> bool:
    return position < len(text) and (text[position].isalnum() or text[position] == "_")
