"""Unambiguous ABC: the same notes, which abcjs, abc2midi and music21 read alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.folk.abc import Tune, parse_tune, to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.interchange import unambiguous
from tests.folk.interchange.agreement import JUDGES, oneill, sampled_tunes, share_that_agree
from tests.folk.interchange.test_musicxml import TUNES, sound

BODIES = (
    "^F-F F-G| |1 FG:| |2 E2:|",
    "G>A (3B>AG A>B2|Z2|x4|=c^c c'_b|[^F-A]F-[FG] z2|1 AB||2 GA:|BB||",
    "AB:|cd|1 ef:|2 fg:|ga:|",
    "|::AB::|",
    "|::AB|1 cd:|2 ef::ga|1 ab::|2,3 bc:|",  # "::" after the second of three passes repeats
)


@pytest.mark.parametrize("tune", [*TUNES, *(parse_tune(f"M:4/4\nL:1/8\nK:D\n{x}") for x in BODIES)])
def test_the_same_notes_sound(tune: Tune) -> None:
    plain = unambiguous(tune)
    assert sound(plain) == sound(tune)
    assert sound(plain.unfolded) == sound(tune.unfolded)
    assert unambiguous(plain) == plain
    assert sound(parse_tune(to_abc(plain)).unfolded) == sound(tune.unfolded)


def test_what_is_read_in_different_ways_is_written_out() -> None:
    tunes = [parse_tune(f"M:4/4\nL:1/8\nK:D\n{body}") for body in BODIES[:3]]
    lines = [to_abc(unambiguous(tune)).split("K:Dmaj\n")[1].replace("\n", " ") for tune in tunes]
    assert lines == [
        "|: ^F-FFG |1 FG :|2 E2 :| ",
        "|: G>A(3B3/2A/2G A3/2B | z8 | z8 | z4 | =c^c^c'_b | [^F-A]F-[FG]z2 |1 AB ||2 GA :| BB || ",
        "|: AB :: cd |1 ef :|2 fg |: ga :| ",
    ]


@pytest.mark.parametrize("judge", ["abcjs", "abc2midi"])
def test_generated_tunes_are_read_alike(tmp_path: Path, judge: str) -> None:
    tunes = [generate_tune(2, index) for index in range(20)]
    assert share_that_agree(tunes, judge, tmp_path) == 1


@pytest.mark.slow
@pytest.mark.parametrize("judge", JUDGES)
def test_real_and_sampled_tunes_are_read_alike(tmp_path: Path, judge: str) -> None:
    """Nearly all of each tenth tune of O'Neill and of 200 of the network that is shipped."""
    assert share_that_agree(sampled_tunes(), judge, tmp_path) >= 0.98
    assert share_that_agree(oneill()[::10], judge, tmp_path) >= 0.975  # 4 of 201 may not
