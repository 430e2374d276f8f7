"""The tables of the page are those of the record; ``python -m tests.papers.explainers.test_page``
writes them from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "papers" / "explainers.md"
RECORD = ROOT / "docs" / "papers" / "results" / "benchmark_explainers.json"
BEGIN, END = "<!-- results -->\n", "<!-- end -->\n"


def lines(tables: list[dict[str, Any]]) -> Iterator[str]:
    for table in tables:
        yield f"\n### {table['title']}\n"
        if table["columns"] == [""]:
            yield from (f"* {sentence}" for (sentence,) in table["rows"])
            continue
        yield f"| {' | '.join(table['columns'])} |"
        yield "|---" * len(table["columns"]) + "|"
        yield from (f"| {' | '.join(row)} |" for row in table["rows"])


def made() -> str:
    """Return the page with the tables of the record."""
    text = PAGE.read_text("utf-8")
    tables = "\n".join(lines(json.loads(RECORD.read_text("utf-8"))["tables"]))
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}{tables}\n\n{END}{after}"


def test_the_page_has_the_tables_of_the_record() -> None:
    assert PAGE.read_text("utf-8") == made()


if __name__ == "__main__":
    PAGE.write_text(made(), "utf-8")
