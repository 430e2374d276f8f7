"""Clefs, octaves, transposition, scope of accidentals: fields (ABC standard 2.1), directives."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = ["Specifiers", "concerns_pitches", "read_directive", "read_specifiers"]

_WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_CLEF = re.compile(
    r"(?:(?:clef=\"?[a-z]+|treble|alto|tenor|bass|perc|none)[1-5]?|(?=[+-]))"
    r"(?:(?P<octave>[+-](?:8|15))(?:va|vb|ma|mb)?|[_^]?(?:8|15))?\"?",  # "treble_8" is only drawn
    re.IGNORECASE,
)
_NUMBERS = {"octave": "octave", "transpose": "semitones", "t": "semitones"}
_MOVING = ("score", "sound", "shift", "instrument")  # of other programs; each in its own sense
_DRAWN = re.compile(
    r"(?:middle|m|stafflines|staffscale|cue|style|stems?|gstem|s?name|subname|s?nm|map)=.+"
    r"|[A-Za-z]\w*:\S+|\"[^\"]*\""
)
# Directives of abc2midi, abcm2ps and abc2svg that change which pitches sound.
_OTHER_PITCHES = re.compile(
    r"transpose|shift|sound|temperament|tuningsystem|percmap"
    r"|MIDI (?:temperament\w*|tuningsystem|octave|pitchbend|bend\w+|percmap|drummap)"
)
_TRANSPOSING = ("MIDI transpose", "MIDI rtranspose")
_SCOPE = "propagate-accidentals"
_SCOPES = {"MIDI nobarlines": "not", "MIDI barlines": "pitch"}
_OCTAVES = {None: 0, "+8": 1, "-8": -1, "+15": 2, "-15": -2}


@dataclass(frozen=True)
class Specifiers:
    """Octave, transposition and accidentals of a field or directive; None where it says nothing.

    ``clef_octave`` is that of the clef ("treble-8"), ``octave`` that of "octave=", ``semitones``
    that of "transpose=". They add up, and hold until another field gives another value.
    ``scope`` is that of accidentals: "not" beyond their note, in their "octave" to the bar line, or
    at their "pitch" in all octaves (ABC standard 2.1, 11.3; the default).
    """

    clef_octave: int | None = None
    octave: int | None = None
    semitones: int | None = None
    scope: str | None = None

    @property
    def octaves(self) -> int:
        """Octaves by which the music sounds above the notes as written."""
        return (self.clef_octave or 0) + (self.octave or 0)

    def updated(self, later: Specifiers) -> Specifiers:
        """Return the specifiers after those of a later field."""
        if later == _NOTHING:
            return self
        given = {x.name: getattr(later, x.name) for x in fields(later)}
        return replace(self, **{name: x for name, x in given.items() if x is not None})


_NOTHING = Specifiers()


def read_specifiers(text: str) -> tuple[Specifiers, tuple[str, ...]]:
    """Read the clef, octave and transposition of a field; return the other words as well.

    Words that concern the drawing alone are left out; a `ValueError` names a fault.

    >>> read_specifiers("Gm clef=treble-8 transpose=2")
    (Specifiers(clef_octave=-1, octave=None, semitones=2, scope=None), ('Gm',))
    """
    specifiers, others = Specifiers(), list[str]()
    for word in _WORD.findall(text):
        name, _, value = word.partition("=")
        if name.lower() in _NUMBERS:
            if not re.fullmatch(r"[+-]?\d{1,3}", value):
                raise ValueError(f"{name}= needs a whole number, {value!r} came")
            given: dict[str, Any] = {_NUMBERS[name.lower()]: int(value)}
            specifiers = replace(specifiers, **given)
        elif name in _MOVING and value:
            raise ValueError(f"{word!r} came, needs octave= or transpose= of the standard")
        elif (clef := _CLEF.fullmatch(word)) and (others or word != "none"):
            specifiers = replace(specifiers, clef_octave=_OCTAVES[clef["octave"]])
        elif not _DRAWN.fullmatch(word):
            others.append(word)
    return specifiers, tuple(others)


def concerns_pitches(directive: str) -> bool:
    """Return whether a directive changes which pitches sound."""
    name, _ = _parts(directive)
    is_read = name in _TRANSPOSING or name in _SCOPES or name == _SCOPE
    return is_read or _OTHER_PITCHES.fullmatch(name) is not None


def read_directive(text: str, semitones: int | None) -> Specifiers:
    """Read a directive, which follows %% or I:, where ``semitones`` is the transposition so far.

    As in abc2midi, "MIDI transpose" replaces what a K: field gives, and "MIDI rtranspose" adds to
    it; outside of tunes, where ``semitones`` is None, neither is read. A `ValueError` says what is
    wrong with a directive on pitches.

    >>> read_directive("MIDI rtranspose -2", 12).semitones
    10
    """
    name, value = _parts(text)
    if name in _TRANSPOSING:
        if semitones is None:
            raise ValueError("changes pitches, and is outside of a tune")
        if not re.fullmatch(r"[+-]?\d{1,3}", value.strip()):
            raise ValueError("changes pitches, and needs a whole number")
        return Specifiers(semitones=int(value) + semitones * (name == "MIDI rtranspose"))
    if name == _SCOPE:
        if value.strip() not in ("not", "octave", "pitch"):
            raise ValueError("changes pitches, and needs not, octave or pitch")
        return Specifiers(scope=value.strip())
    if name in _SCOPES:
        return Specifiers(scope=_SCOPES[name])
    if _OTHER_PITCHES.fullmatch(name):
        raise ValueError("changes pitches")
    return Specifiers()


def _parts(directive: str) -> tuple[str, str]:
    """Return name and value of a directive; the names of abc2midi's have two words."""
    name, _, value = directive.replace("=", " ", 1).strip().partition(" ")
    if name != "MIDI":
        return name, value
    command, _, value = value.strip().partition(" ")
    return f"MIDI {command}", value
