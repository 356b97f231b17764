"""Choose the format of a response: the one the caller requests, or the one its `Accept` prefers."""

from typing import Literal

Format = Literal["json", "ndjson", "csv", "arrow"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",  # https://www.rfc-editor.org/rfc/rfc4180#section-3
    "arrow": "application/vnd.apache.arrow.stream",  # https://arrow.apache.org/docs/format/IANA.html
}
# The media ranges in Accept. A range selects the first of its formats that is not refused by name.
_ACCEPTED: dict[str, tuple[Format, ...]] = {
    "application/json": ("json",),
    "application/x-ndjson": ("ndjson",),
    "application/ndjson": ("ndjson",),
    "text/csv": ("csv",),
    "application/vnd.apache.arrow.stream": ("arrow",),
    "application/*": ("json", "ndjson", "arrow"),
    "text/*": ("csv",),
    "*/*": ("json", "ndjson", "csv", "arrow"),
}


def choose_format(parameter: Format | None, accept: str) -> Format:
    """Return the format of the response: the parameter's, or else the one `Accept` prefers, or else JSON.

    The most specific range that matches a format determines its quality
    (https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1). Of two formats with the same quality, the one named in
    full takes precedence, then the order of `_ACCEPTED`. If nothing matches, the format is JSON: a response helps more
    than a 406.
    """
    if parameter is not None:
        return parameter
    # By format: the specificity of the range that matches it, and the quality in that range.
    welcome: dict[Format, tuple[int, float]] = {}
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        rank = (_specificity(media_type), _quality(parameters))
        for name in _ACCEPTED.get(media_type, ()):
            welcome[name] = max(welcome.get(name, rank), rank)
    chosen: Format = "json"
    best = (0.0, 0)
    for name in MEDIA_TYPES:
        specificity, quality = welcome.get(name, (0, 0.0))
        if quality > 0 and (quality, specificity) > best:
            chosen, best = name, (quality, specificity)
    return chosen


def _specificity(media_type: str) -> int:
    return 0 if media_type == "*/*" else 1 if media_type.endswith("/*") else 2


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return quality if 0 <= quality <= 1 else 0.0  # NaN is not either
    return 1.0
