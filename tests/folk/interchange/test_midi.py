"""MIDI: tunes that were written come back; played times, drums and damaged files."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.folk.abc import Key, NotationError, Tune, parse_tune, to_abc, to_midi, transpose
from otoscope.folk.abc.elements import natural_pitch
from otoscope.folk.abc.key import MODES
from otoscope.folk.data import generate_tune
from otoscope.folk.interchange import read_score
from otoscope.folk.interchange.keys import key_of, most_fitting_key, spelled
from otoscope.folk.interchange.midi import tune_of_midi
from tests.folk.interchange.test_musicxml import TUNES, sound

mido = pytest.importorskip("mido", reason='mido is not installed: "otoscope[folk]"')


def midi_of(
    *notes: tuple[int, int, int], ticks: int = 480, channel: int = 0, head: list[Any] | None = None
) -> bytes:
    """Write notes (onset, end, pitch) in ticks with mido."""
    file = mido.MidiFile(ticks_per_beat=ticks)
    events = [(on, 1, mido.Message("note_on", note=p, channel=channel)) for on, _, p in notes]
    events += [(off, 0, mido.Message("note_off", note=p, channel=channel)) for _, off, p in notes]
    track = mido.MidiTrack(head or [])
    now = 0
    for time, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=time - now))
        now = time
    file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("tune", TUNES, ids=range(len(TUNES)))
def test_a_tune_comes_back_as_it_is_played(tune: Tune) -> None:
    again = tune_of_midi(to_midi(tune))
    assert sound(again) == sound(tune.unfolded)
    if tune.key.fifths is not None and "[K:" not in to_abc(tune):
        assert again.key.signature == tune.key.signature
    if tune.meter.length is not None:
        assert again.meter.length == tune.meter.length


def test_bars_begin_where_those_of_a_tune_with_a_pickup_do() -> None:
    tune = parse_tune("M:6/8\nL:1/8\nK:Ador\n|:e|ABc def|agf A2:|")
    again = tune_of_midi(to_midi(tune))
    assert [x.duration * 8 for x in again.measures] == [1, 6, 6, 6, 5]
    assert (again.meter.text, again.key.abc) == ("6/8", "Ador")


def test_mido_reads_meter_key_tempo_and_title() -> None:
    file = mido.MidiFile(file=io.BytesIO(to_midi(parse_tune("T:x\nM:C|\nQ:1/2=60\nK:Em\nE4|"))))
    events = {message.type: message for message in file.tracks[0]}
    assert (events["time_signature"].numerator, events["time_signature"].denominator) == (2, 2)
    assert events["key_signature"].key == "Em"
    assert events["set_tempo"].tempo == 500_000
    assert events["track_name"].name == "x"


def test_played_times_are_moved_to_a_grid_and_that_is_said() -> None:
    tune = tune_of_midi(midi_of((3, 211, 60), (247, 467, 62), (482, 953, 64)))
    times = [(60, 0, 11), (62, 12, 11), (64, 24, 24)]
    assert sound(tune) == [(p, Fraction(on, 96), Fraction(d, 96)) for p, on, d in times]
    assert any("played, not notated" in str(notice) for notice in tune.notices)


def test_overlapping_notes_end_where_the_next_begins() -> None:
    tune = tune_of_midi(midi_of((0, 960, 60), (480, 960, 64), (960, 1440, 67), (960, 1440, 72)))
    quarter = Fraction(1, 4)
    assert sound(tune) == [(60, 0 * quarter, quarter), (64, quarter, quarter)] + [
        (pitch, 2 * quarter, quarter) for pitch in (67, 72)
    ]


def test_drums_are_no_melody() -> None:
    with pytest.raises(NotationError, match="no note"):
        tune_of_midi(midi_of((0, 480, 60), channel=9))


def test_a_second_channel_is_left_out(tmp_path: Path) -> None:
    file = mido.MidiFile(file=io.BytesIO(midi_of((0, 480, 60))))
    file.tracks.append(mido.MidiFile(file=io.BytesIO(midi_of((0, 480, 40), channel=1))).tracks[0])
    file.save(tmp_path / "a.mid")
    tune = read_score(tmp_path / "a.mid")
    assert [note.pitch for note in tune.notes] == [60]
    with pytest.raises(NotationError, match=r"a\.mid: a second voice or part"):
        read_score(tmp_path / "a.mid", strict=True)


@pytest.mark.parametrize("content", [b"", b"MThd", b"RIFF0000", to_midi(TUNES[1])[:60]])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(NotationError, match=r"a\.mid: (this is no MIDI file|there is no note)"):
        read_score(tmp_path / "a.mid")


@given(st.binary(max_size=80), st.integers(14, 120))
def test_bytes_of_any_kind_give_a_tune_or_the_one_error(noise: bytes, at: int) -> None:
    content = to_midi(parse_tune("M:2/4\nL:1/8\nK:G\nGABc|d2 G2|]"))
    for damaged in (noise, content[:at] + noise, content[:at] + noise + content[at + 9 :]):
        with suppress(NotationError):
            assert isinstance(tune_of_midi(damaged), Tune)


def test_every_key_is_that_of_its_fifths_and_mode() -> None:
    for mode in MODES:
        for fifths in range(-7, 8):
            key = key_of(fifths, mode)
            assert (Key.parse(key.abc), key.fifths) == (key, fifths)


def test_notes_are_spelled_in_their_key() -> None:
    for fifths in range(-6, 7):
        key = key_of(fifths, "maj")
        for pitch in range(21, 109):
            step, alter = spelled(pitch, key)
            assert natural_pitch(step) + alter == pitch
            if pitch % 12 in key.pitch_classes:
                assert alter == key.signature.get("CDEFGAB"[step % 7], 0)


def test_generated_tunes_without_signature_get_their_key() -> None:
    """The key signature of at least nine in ten, since a tune may avoid a note of its scale."""
    right = 0
    for index in range(60):
        tune = transpose(generate_tune(1, index), index % 12 - 6)
        durations: dict[int, Fraction] = {}
        for note in tune.notes:
            durations[note.pitch % 12] = durations.get(note.pitch % 12, Fraction(0)) + note.duration
        key = most_fitting_key(durations, tune.notes[-1].pitch % 12)
        right += key.pitch_classes == tune.key.pitch_classes
    assert right >= 54


def test_title_and_tempo_are_lines_of_text() -> None:
    head = [
        mido.MetaMessage("track_name", name="a\nb  c"),
        mido.MetaMessage("set_tempo", tempo=400_000),
    ]
    tune = tune_of_midi(midi_of((0, 480, 60), head=head))
    assert (tune.title, tune.tempo_bpm) == ("a b c", 150)
    assert replace(tune, headers=()) == tune_of_midi(midi_of((0, 480, 60)))


def test_a_small_file_that_lasts_for_years_is_refused() -> None:
    with pytest.raises(NotationError, match="whole notes, needs at most 20,000"):
        tune_of_midi(midi_of((0, 2**27, 60), ticks=1))
