"""The printed collections, where music21's wheel brings them: counts, reasons, near duplicates."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import pytest

from otoscope.folk.data import (
    COLLECTIONS,
    RejectedTune,
    TokenisedTune,
    collection_files,
    group_tunes,
    read_tunes,
)
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(
    find_spec("music21") is None, reason="music21's tunes are not installed (--no-deps)"
)

# Paper D's page: tunes in the files, and least number that must be convertible (its own less 2 %).
TUNES = {"aird": (1180, 1118), "oneill": (2009, 1905), "ryan": (1059, 945), "misc": (185, 161)}


def test_music21_is_not_imported() -> None:
    program = """
import sys
from otoscope.folk.data import collection_files
assert all(len(collection_files(name)) for name in ("aird", "oneill", "ryan", "misc"))
assert "music21" not in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "name", ["misc", *(pytest.param(x, marks=pytest.mark.slow) for x in ("aird", "oneill", "ryan"))]
)
def test_every_tune_of_the_files_is_counted(name: str) -> None:
    """As many X: fields as tunes kept and rejected; each rejected one has a line and a reason."""
    tunes = list(read_tunes(name))
    text = "".join(path.read_text("latin-1") for path in collection_files(name))
    assert len(tunes) == sum(line.startswith("X:") for line in text.splitlines())
    kept = [tune for tune in tunes if isinstance(tune, TokenisedTune)]
    rejected = [tune for tune in tunes if isinstance(tune, RejectedTune)]
    total, least = TUNES[name]
    assert (len(tunes), len(kept) >= least) == (total, True)
    assert all(tune.reason and tune.line for tune in rejected)
    assert len({tune.origin.name for tune in tunes}) == total
    assert {tune.mode for tune in kept} <= {"maj", "min", "dor", "mix"}


@pytest.mark.slow
def test_tunes_that_are_printed_twice_are_one_group() -> None:
    """O'Neill's 732 to 758 were transcribed by two hands; most pairs must be found."""
    tunes = [tune for tune in read_tunes("oneill") if isinstance(tune, TokenisedTune)]
    groups = group_tunes(tune.tune for tune in tunes)
    of = {
        (tune.origin.file, tune.tune.reference): group
        for tune, group in zip(tunes, groups, strict=True)
    }
    pairs = [
        (group, of["0732-0758_mh.abc", number])
        for (file, number), group in of.items()
        if file == "0732-0758_bs.abc" and ("0732-0758_mh.abc", number) in of
    ]
    assert len(pairs) >= 20
    assert sum(tune == other for tune, other in pairs) >= 0.9 * len(pairs)
    assert max(Counter(groups).values()) < 0.05 * len(tunes)


@pytest.mark.slow
def test_the_papers_page_has_the_counts() -> None:
    """Check tunes, tunes that can be used, and their tokens."""
    page = (ROOT / "docs" / "papers" / "D.md").read_text()
    for name in COLLECTIONS:
        tunes = list(read_tunes(name, strict=True))  # as on the page
        kept = [tune for tune in tunes if isinstance(tune, TokenisedTune)]
        n_tokens = sum(tune.n_tokens for tune in kept)
        row = f"| {len(tunes):,} | {len(kept):,} | {n_tokens:,} |"
        assert any(line.startswith(f"| `{name}`") and row in line for line in page.splitlines()), (
            name,
            row,
        )
