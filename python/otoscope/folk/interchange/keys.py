"""Keys and spelling of notes that have none: positions on the line of fifths."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from otoscope.folk.abc import Key
from otoscope.folk.abc.key import LETTERS, NATURAL

__all__ = ["key_of", "most_fitting_key", "spelled"]

_FIFTHS = "FCGDAEB"
_MODES = {"maj": 0, "min": 3, "dor": 2, "mix": 1, "phr": 4, "lyd": -1, "loc": 5}  # fifths above
_USUAL = ("maj", "min", "dor", "mix")


def key_of(fifths: int, mode: str) -> Key:
    """Return the key with this number of sharps (or, below 0, flats) and this mode.

    >>> key_of(1, "dor").abc, key_of(-3, "min").abc
    ('Ador', 'Cmin')
    """
    signs, letter = divmod(fifths + _MODES[mode] + 1, 7)
    return Key(_FIFTHS[letter] + ("#" * signs if signs > 0 else "b" * -signs), mode)


def most_fitting_key(
    durations: Mapping[int, Fraction], final: int, *, fifths: int | None = None, mode: str = "maj"
) -> Key:
    """Return the key with most of the notes whose tonic is the last note, if a usual mode has it.

    Parameters
    ----------
    durations : mapping from int to Fraction
        Duration of each pitch class, 0 for C.
    final : int
        Pitch class of the last note.
    fifths : int, optional
        Number of sharps, below 0 of flats, where it is known.
    mode : str
        Mode where no usual mode (major, minor, Dorian, Mixolydian) ends on the last note.

    Returns
    -------
    Key
        Key with the number of signs that leaves the least of the notes outside.
    """
    if fifths is None:
        fits = {
            x: sum(durations.get(7 * y % 12, 0) for y in range(x - 1, x + 6)) for x in range(-6, 7)
        }
        best = max(fits.values())
        fifths = min((x for x, fit in fits.items() if fit == best), key=abs)
    keys = [key_of(fifths, name) for name in (mode, *_USUAL)]
    return next((key for key in keys if key.tonic_pitch_class == final), keys[0])


def spelled(pitch: int, key: Key) -> tuple[int, int]:
    """Return staff position and alteration of a pitch in a key: of two names the one nearer to it.

    Names are those from four fifths below to seven above the major tonic of the signature: of the
    chromatic notes the raised first and fourth, the lowered third, sixth and seventh.

    >>> spelled(61, Key.parse("D")), spelled(70, Key.parse("F"))
    ((0, 1), (6, -1))
    """
    major = sum(key.signature.values())
    fifth = next(x for x in range(major - 4, major + 8) if (7 * x - pitch) % 12 == 0)
    alter, letter = divmod(fifth + 1, 7)
    name = _FIFTHS[letter]
    octave = (pitch - alter - NATURAL[name]) // 12 - 5
    return LETTERS.index(name) + 7 * octave, alter
