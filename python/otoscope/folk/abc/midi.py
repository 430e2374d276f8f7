"""Tunes as Standard MIDI Files, repeats played."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from otoscope.errors import ParameterError
from otoscope.folk.abc.elements import InlineField
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.tune import Tune
from otoscope.midi import key_event, meter_event, midi_file

__all__ = ["to_midi"]

_TICKS = 10080  # per quarter note: 2^5 * 3^2 * 5 * 7 divides by every usual tuplet
_VELOCITY = 80


def to_midi(tune: Tune, tempo_bpm: float | None = None) -> bytes:
    """Write a tune as a Standard MIDI File with one track: notes, tempo, meter, key and title.

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
    events = []  # (tick, kind, bytes): at one tick signatures first, and notes end before others
    for note in tune.unfolded.notes:
        for time, velocity in ((note.onset, _VELOCITY), (note.onset + note.duration, 0)):
            events.append((_ticks(time), 1 + (velocity > 0), bytes([0x90, note.pitch, velocity])))
    events += [(_ticks(time), 0, event) for time, event in _signatures(tune.unfolded)]
    return midi_file(
        [(tick, event) for tick, _, event in sorted(events)],
        ticks=_TICKS,
        tempo_bpm=tempo_bpm,
        title=tune.title,
    )


def _signatures(tune: Tune) -> Iterator[tuple[Fraction, bytes]]:
    """Yield meters and keys; a pickup has a meter of its own, so that bars begin where they do."""
    fields = [
        (timed.onset, timed.element.value)
        for timed in tune.timed_elements
        if isinstance(timed.element, InlineField)
    ]
    pickup = tune.measures[0].duration if tune.measures else Fraction(0)
    if not 0 < pickup < (tune.meter.length or 0):
        pickup = Fraction(0)
    elif event := meter_event(pickup.numerator, pickup.denominator):
        yield Fraction(0), event
    for time, value in ((pickup, tune.meter), (Fraction(0), tune.key), *fields):
        if isinstance(value, Meter) and (event := meter_event(*value.counted)):
            yield time, event
        elif isinstance(value, Key) and value.fifths is not None:
            yield time, key_event(value.fifths, is_minor=value.mode == "min")


def _ticks(time: Fraction) -> int:
    return round(4 * time * _TICKS)
