"""Choose the format of a response: the one the caller requests, or the one its `Accept` prefers."""

from typing import Literal

from app.http.reading import preferred

Format = Literal["json", "ndjson", "csv", "arrow"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",  # https://www.rfc-editor.org/rfc/rfc4180#section-3
    "arrow": "application/vnd.apache.arrow.stream",  # https://arrow.apache.org/docs/format/IANA.html
}
_FORMATS: dict[str, Format] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
}


def choose_format(parameter: Format | None, accept: str) -> Format:
    """Return the format of the response: the parameter's, or else the one `Accept` prefers, or else JSON.

    If nothing matches, the format is JSON: a response helps more than a 406.
    """
    return parameter or _FORMATS[preferred(accept, [*_FORMATS])]
