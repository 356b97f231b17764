"""Write the tables of bench/README.md and its plots anew: `python -m bench.report`."""

from bench.places import RESULTS
from bench.report.bounds import must_reach
from bench.report.document import DOCUMENT, plots, with_tables
from bench.report.results import read


def main() -> None:
    """Write them, and print what must be reached."""
    results = read(RESULTS)
    for name, text in plots(results).items():
        (RESULTS / name).write_text(text)
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(), results))
    print(*must_reach(results), sep="\n")


if __name__ == "__main__":
    main()
