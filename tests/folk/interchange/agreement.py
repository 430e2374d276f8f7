"""Print of how many tunes other programs read every note as we do: docs/papers/D.md has the table.

python -m tests.folk.interchange.agreement
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from otoscope.folk.abc import GraceNotes, Mark, NotationError, Tune, read_book, to_abc
from otoscope.folk.interchange import unambiguous
from otoscope.folk.model import load_folkrnn, sample
from otoscope.folk.tokens import get_tokeniser
from tests.support.abc_judges import (
    are_alike,
    books,
    read_by_abc2midi,
    read_by_abcjs,
    read_by_music21,
)

JUDGES = ("abcjs", "abc2midi", "music21")


def share_that_agree(tunes: Sequence[Tune], judge: str, folder: Path) -> float:
    """Fraction of tunes of which a program reads every onset, duration and pitch as we do."""
    plain = [unambiguous(without_ornaments(tune)) for tune in tunes]
    texts = [to_abc(tune) for tune in plain]
    if judge == "abcjs":
        readings = read_by_abcjs(texts)
    elif judge == "abc2midi":
        readings = [read_by_abc2midi(text, folder) for text in texts]
    else:
        readings = [read_by_music21(text) for text in texts]
    ours = [tune.notes if judge == "music21" else tune.unfolded.notes for tune in plain]
    return sum(map(are_alike, readings, ours)) / len(tunes)


def without_ornaments(tune: Tune) -> Tune:
    """Leave out grace notes and decorations, which programs play in ways of their own."""
    kept = [x for x in tune.elements if not isinstance(x, Mark | GraceNotes)]
    return replace(tune, elements=tuple(kept), headers=())


def oneill() -> list[Tune]:
    """All tunes of O'Neill's collection that can be read."""
    read = [tune for path in books("oneills1850") for tune in read_book(path)]
    return [tune for tune in read if isinstance(tune, Tune)]


def sampled_tunes() -> list[Tune]:
    """Those of 200 tunes of the network that comes with the package that can be read."""
    model = load_folkrnn("folkrnn-small")
    tokeniser = get_tokeniser(model.tokeniser)
    tunes = list[Tune]()
    for drawn in sample(model, 200):
        with suppress(NotationError):
            tunes.append(tokeniser.tune(drawn.tokens))
    return tunes


def main() -> None:
    """Print a row for each program."""
    groups = {"O'Neill": oneill(), "sampled": sampled_tunes()}
    titles = " | ".join(f"{name} ({len(tunes):,} tunes)" for name, tunes in groups.items())
    lines = [f"| program | {titles} |"]
    with tempfile.TemporaryDirectory() as folder:
        for judge in JUDGES:
            shares = [share_that_agree(tunes, judge, Path(folder)) for tunes in groups.values()]
            lines.append(f"| {judge} | {' | '.join(f'{share:.1%}' for share in shares)} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
