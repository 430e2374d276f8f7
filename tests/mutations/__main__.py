"""Plant every mistake of the tables, one at a time, and write who noticed it to results.md.

python -m tests.mutations                the tables; rows in out/mutations.jsonl are not run again
python -m tests.mutations --rows TEXT    only rows that hold a text; nothing is written
python -m tests.mutations --sample 15    only some of all tables; nothing is written
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutations.planting import (
    Mistake,
    as_cell,
    copied,
    failing_test,
    mistakes,
    noticed_by,
    preload,
)
from tests.support.paths import ROOT

RESULTS = Path(__file__).parent / "results.md"
LEAST = 0.95
_DONE = ROOT / "out" / "mutations.jsonl"
_PROCESSES = 2


def main(rows: str, sample: int) -> int:
    """Run what is not done; 1 if too many were not noticed."""
    planted = [one for one in mistakes() if rows in " ".join(one.cells)]
    planted = planted[:: -(-len(planted) // sample)] if sample else planted
    is_whole = not rows and not sample
    done = _done() if is_whole else {}
    for one, by in _run([one for one in planted if _key(one) not in done]):
        done[_key(one)] = by
        sys.stdout.write(f"{' | '.join(one.cells)}: {by or 'NOT NOTICED'}\n")
        sys.stdout.flush()
        if is_whole:
            with _DONE.open("a", encoding="utf-8") as file:
                file.write(json.dumps([_key(one), by]) + "\n")
    noticed = [done[_key(one)] for one in planted]
    if is_whole:
        RESULTS.write_text(table(planted, noticed), "utf-8")
    n_noticed = sum(map(bool, noticed))
    sys.stdout.write(f"{n_noticed} of {len(planted)} noticed\n")
    return int(n_noticed < LEAST * len(planted))


def _run(planted: list[Mistake]) -> Iterator[tuple[Mistake, str]]:
    """Plant in two processes, each in a copy of its own; then the same tests without a mistake."""
    preload()
    with _packages() as packages:
        context = multiprocessing.get_context("fork")
        free = context.SimpleQueue()
        for package in packages:
            free.put(package)
        noticing = set()
        with context.Pool(_PROCESSES, _begin, (free,)) as pool:
            for one, by in pool.imap_unordered(_noticed, planted):
                noticing.add(by.partition("[")[0])
                yield one, by
        named = sorted(noticing - {"", "no end"})
        if named and (failed := failing_test(named, Path(packages[0]))):
            raise SystemExit(f"{failed} fails without a mistake")


@contextmanager
def _packages() -> Iterator[list[str]]:
    with TemporaryDirectory() as folder:
        yield [str(copied(Path(folder) / str(i))) for i in range(_PROCESSES)]


_package = Path()


def _begin(free: multiprocessing.SimpleQueue[str]) -> None:
    """Take a copy of the package for this process."""
    global _package
    _package = Path(free.get())


def _noticed(planted: Mistake) -> tuple[Mistake, str]:
    return planted, noticed_by(planted, _package)


def _done() -> dict[str, str]:
    _DONE.parent.mkdir(exist_ok=True)
    lines = _DONE.read_text("utf-8").splitlines() if _DONE.exists() else []
    return dict(map(json.loads, lines))


def _key(planted: Mistake) -> str:
    return json.dumps([*planted.cells, *planted.tests])


def table(planted: Iterable[Mistake], noticed: Iterable[str]) -> str:
    """Write the results as a table of Markdown."""
    rows = list(zip(planted, noticed, strict=True))
    n_noticed = sum(bool(by) for _, by in rows)
    lines = [
        "# Mistakes that were planted, and the test that noticed each",
        "",
        f"Written by `make mutations`: {n_noticed} of {len(rows)} were noticed "
        f"({100 * n_noticed / len(rows):.1f} %).",
        "",
        "| where | right | planted | noticed by |",
        "|---|---|---|---|",
        *(
            "| " + " | ".join([*map(as_cell, one.cells), by or "**unnoticed**"]) + " |"
            for one, by in rows
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="")
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    raise SystemExit(main(arguments.rows, arguments.sample))
