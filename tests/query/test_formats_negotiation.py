"""Which format a caller gets."""

import pytest

from app.query.request.parameters import choose_format


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "json"),
        ("Application/X-NDJSON; charset=utf-8", "ndjson"),
        ("application/json;q=0.5, application/x-ndjson;q=0.9", "ndjson"),
        ("application/x-ndjson;q=0.1, */*", "json"),
        ("text/csv; header=absent", "csv"),
        ("text/html", "json"),
        ("text/csv;q=inf", "json"),
        (";;,,=", "json"),
    ],
)
def test_accept_chooses_the_format(accept: str, expected: str) -> None:
    """The most welcome of the formats there are; JSON where nothing fits."""
    assert choose_format(None, accept) == expected


def test_the_parameter_goes_before_accept() -> None:
    """`format` is explicit; a browser's Accept is not."""
    assert choose_format("json", "application/x-ndjson") == "json"
    assert choose_format("ndjson", "application/json") == "ndjson"
    assert choose_format("arrow", "application/json") == "arrow"
