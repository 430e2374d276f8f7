"""Standard MIDI Files as tunes, read by mido."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from otoscope.errors import require_extra, shortened
from otoscope.folk.abc import BarLine, Element, InlineField, Key, Meter, NotationError, Tune
from otoscope.folk.abc.durations import default_unit
from otoscope.folk.interchange.keys import key_of, most_fitting_key, spelled
from otoscope.folk.interchange.melody import MelodyNote, elements_of

__all__ = ["tune_of_midi"]

_NOTATED = (192, 160)  # per whole note: units of which notated times are multiples, most of them
_LEAST_NOTATED = 0.9
_GRID = 96  # per whole note: thirty-second notes and their triplets, for times that were played
_LONGEST = 20_000  # whole notes: an hour of music has about 1,800
_NO_METER = "4/4"  # what a MIDI file without meter means


class _Sounding(NamedTuple):
    onset: Fraction
    pitch: int
    end: Fraction
    channel: tuple[int, int]  # track and channel


def tune_of_midi(content: bytes) -> Tune:
    """Read the first channel with notes, except drums, of the content of a file."""
    mido = require_extra("mido", "folk")
    try:
        file = mido.MidiFile(file=io.BytesIO(content))
    except Exception as err:  # of many kinds, as mido has no one error
        reason = shortened(str(err)) or type(err).__name__
        raise NotationError(
            f"this is no MIDI file that can be read: {reason}", reason="file"
        ) from err
    if file.ticks_per_beat <= 0:
        raise NotationError("times are in seconds (SMPTE), needs ticks per quarter", reason="file")
    sounding, changes, headers = _events(file)
    if not sounding:
        raise NotationError("there is no note in it", reason="no notes")
    notices = []
    if any(note.channel != sounding[0].channel for note in sounding):
        message = "a second voice or part came, left out"
        notices.append(NotationError(message, reason="voices"))
    notes = [note for note in sounding if note.channel == sounding[0].channel]
    if not _is_notated(notes):
        message = f"times are played, not notated: moved to the nearest 1/{_GRID} of a whole note"
        notices.append(NotationError(message, reason="times"))
        notes = [_rounded(note) for note in notes]
    return _tune(notes, changes, headers, notices)


def _events(
    file: Any,
) -> tuple[list[_Sounding], list[tuple[Fraction, Meter | tuple[int, str]]], list[tuple[str, str]]]:
    """Return the notes, the changes of meter and key, and the headers of title and tempo."""
    sounding: list[_Sounding] = []
    changes: list[tuple[Fraction, Meter | tuple[int, str]]] = []
    headers: dict[str, str] = {}
    for number, track in enumerate(file.tracks):
        open_notes: dict[tuple[int, int], list[Fraction]] = {}
        now = 0
        for message in track:
            now += message.time
            time = Fraction(now, 4 * file.ticks_per_beat)
            if message.type == "time_signature":
                text = f"{message.numerator}/{message.denominator}"
                changes.append((time, Meter.parse(text)))
            elif message.type == "key_signature":
                key = Key.parse(message.key)
                changes.append((time, (sum(key.signature.values()), key.mode)))
            elif message.type == "set_tempo" and message.tempo:
                headers.setdefault("Q", f"1/4={60e6 / message.tempo:.6g}")
            elif message.type == "track_name" and message.name.strip():
                headers.setdefault("T", " ".join(message.name.split()))
            elif message.type in ("note_on", "note_off") and message.channel != 9:
                place = (message.channel, message.note)
                if message.type == "note_on" and message.velocity:
                    open_notes.setdefault(place, []).append(time)
                elif open_notes.get(place) and time > (onset := open_notes[place].pop(0)):
                    sounding.append(_Sounding(onset, message.note, time, (number, place[0])))
    sounding.sort(key=lambda note: (note.channel, note.onset, note.pitch))
    changes.sort(key=lambda change: change[0])
    return sounding, changes, [(letter, headers[letter]) for letter in "TQ" if letter in headers]


def _is_notated(notes: Sequence[_Sounding]) -> bool:
    """Whether nearly all onsets and durations are multiples of a usual note value."""
    times = [time for note in notes for time in (note.onset, note.end - note.onset)]
    on_grid = [any((time * unit).denominator == 1 for unit in _NOTATED) for time in times]
    return sum(on_grid) >= _LEAST_NOTATED * len(times)


def _rounded(note: _Sounding) -> _Sounding:
    onset, end = round(note.onset * _GRID), round(note.end * _GRID)
    return note._replace(onset=Fraction(onset, _GRID), end=Fraction(max(end, onset + 1), _GRID))


def _tune(
    notes: Sequence[_Sounding],
    changes: Sequence[tuple[Fraction, Meter | tuple[int, str]]],
    headers: Sequence[tuple[str, str]],
    notices: list[NotationError],
) -> Tune:
    """Make a tune of the notes of one channel; ``changes`` are meters, and fifths and mode."""
    end = max(note.end for note in notes)
    if end > _LONGEST:
        message = f"the file lasts {float(end):,.0f} whole notes, needs at most {_LONGEST:,}"
        raise NotationError(message, reason="size")
    meters = {time: value for time, value in changes if isinstance(value, Meter) and time < end}
    meters.setdefault(Fraction(0), Meter.parse(_NO_METER))
    pickup = _pickup(meters)
    if pickup:
        del meters[Fraction(0)]
    keys = _keys(notes, {time: x for time, x in changes if not isinstance(x, Meter) and time < end})
    if not any(isinstance(value, tuple) for _, value in changes):
        notices.append(NotationError("the key is estimated from the notes", reason="key"))
    lines = {**_bar_lines(meters, end), end: BarLine("|]")}
    meter, key = meters.pop(min(meters)), keys.pop(min(keys))
    signs: dict[Fraction, list[Element]] = {}
    for letter, values in (("K", keys), ("M", meters)):
        for time, value in values.items():
            signs.setdefault(time, []).append(InlineField(letter, value))
    melody = []
    for note in notes:
        in_force = keys.get(max((time for time in keys if time <= note.onset), default=end), key)
        melody.append(MelodyNote(note.onset, note.end, *spelled(note.pitch, in_force)))
    elements = elements_of(melody, lines, signs, end)
    return Tune(elements, key, meter, default_unit(meter), tuple(headers), notices=tuple(notices))


def _pickup(meters: Mapping[Fraction, Meter]) -> bool:
    """Whether the first meter is that of a pickup: one measure of it, before a longer meter."""
    first, *following = sorted(meters)
    length = meters[first].length
    if not following or length is None or following[0] != length:
        return False
    return length < (meters[following[0]].length or 0)


def _keys(
    notes: Sequence[_Sounding], signatures: Mapping[Fraction, tuple[int, str]]
) -> dict[Fraction, Key]:
    """Return the keys; without signature, and of a single one its mode, as the notes have it."""
    if len(signatures) > 1:
        return {time: key_of(fifths, mode) for time, (fifths, mode) in signatures.items()}
    durations: dict[int, Fraction] = defaultdict(Fraction)
    for note in notes:
        durations[note.pitch % 12] += note.end - note.onset
    fifths, mode = next(iter(signatures.values()), (None, "maj"))
    return {
        Fraction(0): most_fitting_key(durations, notes[-1].pitch % 12, fifths=fifths, mode=mode)
    }


def _bar_lines(meters: Mapping[Fraction, Meter], end: Fraction) -> dict[Fraction, BarLine]:
    """Place a bar line before each measure but the first note, counted anew from each meter."""
    times = sorted(meters)
    lines = {}
    for start, stop in zip(times, [*times[1:], end], strict=True):
        time, length = start, meters[start].length
        while length and time < stop:
            lines[time] = BarLine("|")
            time += length
    lines.pop(Fraction(0), None)
    return lines
