"""Tunes as Standard MIDI Files, repeats played."""

from __future__ import annotations

from fractions import Fraction

from otoscope.errors import ParameterError
from otoscope.folk.abc.tune import Tune
from otoscope.midi import midi_file

__all__ = ["to_midi"]

_TICKS = 10080  # per quarter note: 2^5 * 3^2 * 5 * 7 divides by every usual tuplet
_VELOCITY = 80


def to_midi(tune: Tune, tempo_bpm: float | None = None) -> bytes:
    """Write a tune as a Standard MIDI File with one track.

    Parameters
    ----------
    tune : Tune
        Tune to write, repeats played out, without its grace notes.
    tempo_bpm : float, optional
        Quarter notes per minute, in [4, 60000]. By default that of the tune's Q: field, else 120.

    Returns
    -------
    bytes
        Content of a file of format 0 with 10,080 ticks per quarter note.

    Raises
    ------
    ParameterError
        If the tempo or a pitch is out of range.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> to_midi(parse_tune("K:C\\nCDE|"))[:4]
    b'MThd'
    """
    tempo_bpm = tempo_bpm or tune.tempo_bpm or 120.0
    if not 4 <= tempo_bpm <= 60000:
        raise ParameterError(f"tempo_bpm is {tempo_bpm}, needs to be in [4, 60000]")
    pitches = [note.pitch for note in tune.notes]
    if not 0 <= min(pitches, default=0) <= max(pitches, default=0) <= 127:
        raise ParameterError(
            f"pitches are {min(pitches)} to {max(pitches)}, need to be in [0, 127]"
        )
    events = []  # (tick, is_on, pitch): at the same tick, notes end before others begin
    for note in tune.unfolded.notes:
        events.append((_ticks(note.onset), True, note.pitch))
        events.append((_ticks(note.onset + note.duration), False, note.pitch))
    return midi_file(
        [
            (tick, bytes([0x90, pitch, _VELOCITY if is_on else 0]))
            for tick, is_on, pitch in sorted(events)
        ],
        ticks=_TICKS,
        tempo_bpm=tempo_bpm,
        title=tune.title,
    )


def _ticks(time: Fraction) -> int:
    return round(4 * time * _TICKS)
