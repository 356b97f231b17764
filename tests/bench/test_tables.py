"""The tables of docs/performance.md are those that bench.tables makes of the results."""

from bench.price.ingest import costs
from bench.tables import DOCUMENT, with_tables


def test_the_page_has_the_tables_of_the_results() -> None:
    """No figure of a table is written by hand."""
    text = DOCUMENT.read_text()
    assert with_tables(text) == text


def test_the_price_of_ingest_is_what_google_lists() -> None:
    """A record a message, a thousand a second: $40 per TiB twice, $0.025 per GiB of rows, and one instance."""
    (found,) = (each for each in costs() if (each.records_per_s, each.per_message) == (1_000, 1))
    transport = 2 * 1_000 * 40 / 2**40 + 1_096 * 0.025 / 2**30
    assert found.instances == 1
    assert round(found.dollars_per_month, 6) == round((1_000 * transport + 0.00002) * 2_592_000, 6)
