"""bench/README.md and its plots are what bench/report makes of the results, and that says what the results say."""

import re
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.ingest.contenders import SLUICE
from bench.places import RESULTS
from bench.report import ingest, rate_plot, service, svg
from bench.report.bounds import bounds, must_reach
from bench.report.document import DOCUMENT, TABLES, plots, with_tables
from bench.report.figures import figure, listed
from bench.report.results import Results, paired, read
from tests.bench.made_up import MANY, made_up, results_of


@pytest.fixture(name="results")
def fixture_results(tmp_path: Path) -> Results:
    """Return a result of every kind."""
    return results_of(tmp_path, made_up())


def parsed(picture: str) -> ET.Element:
    """Return a picture's elements, without the names' namespace."""
    return ET.fromstring(picture.replace(' xmlns="http://www.w3.org/2000/svg"', ""))  # noqa: S314 - our own


def test_the_page_is_what_the_results_say() -> None:
    """No figure of it is written by hand."""
    text = DOCUMENT.read_text()
    assert with_tables(text, read(RESULTS)) == text


def test_the_plots_are_what_the_results_say() -> None:
    """Those that are kept are those that are made."""
    made = plots(read(RESULTS))
    assert {path.name: path.read_text() for path in RESULTS.glob("*.svg")} == made


def test_a_result_that_is_not_there_is_a_sentence_in_place_of_its_tables(tmp_path: Path) -> None:
    """Nothing is shown of an earlier one, and what is needed is named; the rest of the page stays."""
    text = with_tables(DOCUMENT.read_text(), read(tmp_path))
    for name, table in TABLES.items():
        (made,) = re.findall(rf"<!-- {name}: made by bench/report -->\n(.*?)\n<!-- end of {name} -->", text, re.DOTALL)
        if table.result:
            assert made == f"Not measured yet: `make {table.command}` writes bench/results/{table.result}.json.", (
                "one sentence"
            )
    assert plots(read(tmp_path)) == {}
    assert {bound.holds for bound in bounds(read(tmp_path))} == {None}


def test_a_page_without_a_place_for_a_table_is_refused(results: Results) -> None:
    """Marks that were lost are an error, not a table less."""
    with pytest.raises(ValueError, match="substring not found"):
        with_tables("nothing", results)


def test_every_table_is_made_of_its_result(results: Results) -> None:
    """None of them says that something is missing, and each row has as many cells as its head."""
    for name, table in TABLES.items():
        lines = table.lines(results)
        assert not any("Not measured yet" in line for line in lines), name
        for _, rows in groupby(lines, key=lambda line: line.startswith("|")):
            assert len({line.count(" | ") for line in rows if line.startswith("|")}) <= 1, name


def test_the_answer_names_the_rate_and_the_ratios(results: Results) -> None:
    """One paragraph with what a reader came for."""
    assert results.ingest is not None
    text = "\n".join(ingest.answer(results.ingest))
    for words in (
        *("16,000 messages a second", "- 0.800 of the rate", "- 32.0 times", "- 16.0 times that with its client tuned"),
        *("- 10.0 times", "- 4.90 times", "200,000 records"),
    ):
        assert words in text


def test_bounds_are_held_against_what_was_measured(results: Results) -> None:
    """A value at its bound holds, one beyond does not, and one that was not measured does neither."""
    holds = [(bound.compared, bound.bound, bound.holds) for bound in bounds(results)]
    assert holds == [
        ("at least", 0.75, True),
        ("more than", 1.0, True),
        ("at least", 20.0, True),
        ("at least", 20.0, False),
        ("at least", 5.0, True),
        ("at least", 5.0, False),
        ("at least", 10.0, None),
        ("at least", 10.0, True),
        ("at most", 10.0, True),
        ("at most", 1.0, True),
        ("at most", 1.5, False),
        ("at most", 120.0, None),
        ("at most", 120.0, True),
        ("at most", 5.0, None),
        ("at most", 5.0, True),
    ]
    lines = must_reach(results)
    assert "| resident memory when idle, bigquery | at most 120 MB | 105 MB | yes |" in lines, "100 MiB are 104.9 MB"
    assert sum("**no**" in line for line in lines) == 3


def test_a_figure_that_its_core_did_not_bound_is_said_to_be_the_least(tmp_path: Path) -> None:
    """Where the load or the store's delay held a contender up, table and plot say so."""
    found = made_up()
    waiting = next(each for each in found["ingest"]["cells"] if each["contender"] == "waiting")
    waiting["median"] = {**waiting["median"], "cores": 0.8, "cpu_us_per_message": 40.0}
    some = results_of(tmp_path, found).ingest
    assert some is not None
    said = ingest.headline(some)[-1]
    assert "These did not use up their core: waiting (the load used 50 % of its own)" in said
    assert "at most 25,600 a second" in said
    assert "By processor time per message, sluice is at 0.640 of the waiting ceiling." in said
    assert ">at least 20,000<" in rate_plot.rate_plot(some)


def test_a_million_messages_cost_their_processor_time(results: Results) -> None:
    """100 µs a message are 100 s a million, at $0.000018 a second."""
    assert results.workers is not None
    first, second = service.workers(results.workers)[2:4]
    assert first.endswith("| 1 | 10,000 | 1.00 | 100 | 1.00 | $0.0018 |")
    assert second.endswith("| 2 | 20,000 | 2.00 | 100 | 1.00 | $0.0018 |")


def test_a_ratio_is_of_rounds_of_the_same_turn(results: Results) -> None:
    """Records a second of one by those of the other, in each round; what is quoted is the median."""
    assert results.ingest is not None
    own, other = results.ingest.cell(SLUICE, MANY), results.ingest.cell("waiting", MANY)
    assert own is not None
    assert other is not None
    assert paired(own, other) == 0.25


def test_every_picture_can_be_heard_and_read_on_any_page(results: Results) -> None:
    """It is XML with a title and a description of its figures, and a card of its own colour behind everything."""
    for name, text in plots(results).items():
        picture = parsed(text)
        title, description = picture.findtext("title"), picture.findtext("desc")
        assert title, name
        assert description, name
        assert SLUICE in description
        assert picture.attrib["role"] == "img"
        card = next(iter(picture.iter("rect")))
        assert (card.attrib["width"], card.attrib["height"]) == (picture.attrib["width"], picture.attrib["height"])
        assert "prefers-color-scheme:dark" in (picture.findtext("style") or "")
        width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
        for words in picture.iter("text"):
            assert 0 < float(words.attrib["x"]) < width
            assert 0 < float(words.attrib["y"]) < height


def test_words_are_no_markup() -> None:
    """What a name has of XML's own signs is escaped."""
    picture = parsed(svg.document((10, 10), "a < b", "c & d", [svg.text(1, 1, '<"&>')]))
    assert [picture.findtext(name) for name in ("title", "desc", "text")] == ["a < b", "c & d", '<"&>']


def test_figures_have_three_digits_that_count() -> None:
    """And all before the point, but none below a thousandth."""
    assert [figure(each) for each in (0, 0.0043, 0.75, 9.5, 45.67, 25_600.4)] == [
        *("0", "0.004", "0.750", "9.50"),
        *("45.7", "25,600"),
    ]
    assert [listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
