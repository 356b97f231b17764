"""Recompute capacity and cost, and write the tables of docs/capacity.md and docs/scaling.md: `make capacity`.

python -m bench.scaling
"""

from bench.scaling import operations_tables, scaling_tables


def main() -> None:
    """Print the tables and write them into their documents."""
    for document in (operations_tables, scaling_tables):
        for name, make in document.TABLES.items():
            print(f"{name}\n", *make(), "", sep="\n")
        document.DOCUMENT.write_text(document.with_tables(document.DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
