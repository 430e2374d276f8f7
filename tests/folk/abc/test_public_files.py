"""ABC files that packages ship: nearly all tunes are read, as abc2midi and music21 read them."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from otoscope.folk.abc import GraceNotes, Mark, NotationError, Tune, parse_tune, read_book, to_abc
from tests.support.abc_judges import abc2midi, agree, bare, books, need_abc2midi, source_of

FOLDERS = (
    *("airdsAirs", "essenFolksong", "josquin", "miscFolk", "nottingham-dataset"),
    *("oneills1850", "ryansMammoth"),
)
EXAMPLES = Path("/usr/share/doc/abcmidi/examples")

pytestmark = pytest.mark.slow


def tunes_of(folder: str) -> list[tuple[Path, Tune | NotationError]]:
    return [(path, tune) for path in books(folder) for tune in read_book(path)]


def test_nearly_all_tunes_are_read_and_written() -> None:
    tunes = [tune for folder in FOLDERS for _, tune in tunes_of(folder)]
    if EXAMPLES.is_dir():
        tunes += [tune for path in sorted(EXAMPLES.glob("*.abc")) for tune in read_book(path)]
    read = [tune for tune in tunes if isinstance(tune, Tune)]
    assert len(tunes) > 12_000
    assert len(read) >= 0.99 * len(tunes)
    for tune in read:
        assert parse_tune(to_abc(tune)) == tune


@pytest.mark.parametrize("folder", ["essenFolksong", "josquin"])
def test_pitches_and_onsets_are_those_of_abc2midi(tmp_path: Path, folder: str) -> None:
    """At least 95 %; the collections of old prints are in test_judges."""
    need_abc2midi()
    tunes = tunes_of(folder)
    agreed = []
    for path, tune in tunes[:: max(1, len(tunes) // 200)]:
        if isinstance(tune, Tune) and not tune.notices:
            theirs, _ = abc2midi(bare(source_of(path, tune.line)), tmp_path)
            heard: dict[float, set[int]] = {}
            for note in tune.notes:
                heard.setdefault(float(note.onset), set()).add(note.pitch)
            agreed.append(agree([(at, frozenset(x)) for at, x in heard.items()], theirs))
    assert sum(agreed) >= 0.95 * len(agreed) > 10


@pytest.mark.parametrize("folder", ["essenFolksong", "oneills1850"])
def test_durations_are_those_of_music21(folder: str) -> None:
    if any(find_spec(name) is None for name in ("music21", "more_itertools", "jsonpickle")):
        pytest.skip("music21 is installed without what it imports: pip install music21")
    from music21 import converter

    same = []
    tunes = [tune for _, tune in tunes_of(folder) if isinstance(tune, Tune) and not tune.notices]
    for tune in islice(tunes, 0, None, len(tunes) // 60):
        plain = tuple(x for x in tune.elements if not isinstance(x, Mark | GraceNotes))
        undecorated = replace(tune, elements=plain)  # music21 takes some decorations for notes
        last = undecorated.timed_elements[-1]
        score: Any = converter.parse(to_abc(undecorated), format="abc")
        theirs = score.parts[0].flatten().notesAndRests
        total = sum(x.duration.quarterLength for x in theirs if not x.duration.isGrace)
        same.append(float(total) == pytest.approx(float(4 * (last.onset + last.duration))))
    assert sum(same) >= 0.95 * len(same)
