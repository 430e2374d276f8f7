"""What the recipe is worth: control tokens, keys, and a record with a row for each option."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from otoscope.folk.data import generate_tune
from otoscope.folk.tokens import get_tokeniser
from otoscope.papers.d_folkrnn import FolkOptionsConfig, folk_options
from otoscope.papers.d_folkrnn.options import transposed, with_controls


def test_control_tokens_tell_sections_bars_and_what_is_alike() -> None:
    text = "M:2/4 K:Cmaj |: C 4 | D 4 | C 4 | E 4 :| |: C 4 | D 4 | C 4 | E 4 :| G 4 |"
    tokens = with_controls(text.split())
    assert tokens[2:8] == ["S:3", "B:4", "E:10", "B:4", "E:2", "E:2"]
    assert [*tokens[:2], *tokens[9:]] == text.split()


@pytest.mark.parametrize("semitones", [-14, -3, 0, 1, 25])
def test_transposed_tokens_sound_as_many_semitones_higher(semitones: int) -> None:
    v3 = get_tokeniser("v3")
    tokens = v3.tokens(generate_tune(0, 3))
    moved = v3.tune([transposed(token, semitones) for token in tokens])
    pitches = [note.pitch + semitones for note in v3.tune(tokens).notes]
    assert [note.pitch for note in moved.notes] == pitches


@pytest.mark.slow
@pytest.mark.skipif(find_spec("music21") is None, reason="music21's tunes are not installed")
def test_record_has_a_row_for_each_option_and_is_continued(tmp_path: Path) -> None:
    (table,) = folk_options(FolkOptionsConfig.quick(), tmp_path)
    text = (tmp_path / "folk_options.json").read_text()
    record = json.loads(text)
    assert [row[0] for row in table.rows] == [*record["options"]]
    nats = {name: row["test"] for name, row in record["options"].items()}
    assert all(row["controls_per_tune"] > 0 for row in [nats["control tokens"]])
    assert nats["no inputs"]["controls_per_tune"] == 0
    assert len({row["per_tune"] for row in nats.values()}) == len(nats)
    folk_options(FolkOptionsConfig.quick(), tmp_path)
    assert (tmp_path / "folk_options.json").read_text() == text
