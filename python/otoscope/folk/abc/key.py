"""Keys: the K: field of ABC, its tonic, mode and signature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

from otoscope.folk.abc.clef import Specifiers, read_specifiers
from otoscope.folk.abc.errors import NotationError

__all__ = ["LETTERS", "MODES", "NATURAL", "SIGNS", "Key", "read_key_field"]

LETTERS = "CDEFGAB"
NATURAL = dict(zip(LETTERS, (0, 2, 4, 5, 7, 9, 11), strict=True))  # semitones above C
SIGNS = {"__": -2, "_": -1, "=": 0, "^": 1, "^^": 2}
MODES = ("maj", "min", "dor", "mix", "phr", "lyd", "loc")

_FIFTHS = "FCGDAEB"  # the order in which sharps come
_BRIGHTNESS = {"lyd": 1, "maj": 0, "mix": -1, "dor": -2, "min": -3, "phr": -4, "loc": -5}
_SPELLINGS = {"": "maj", "ion": "maj", "m": "min", "aeo": "min"}
_KEY = re.compile(r"(?P<tonic>[A-G][#b]?)\s*(?P<mode>[A-Za-z]*)(?![=\w])(?P<rest>.*)")
_CHANGE = re.compile(r"(\^\^|\^|__|_|=)([A-Ga-g])")
_NO_TONIC = re.compile(r"(?P<mode>(?:none|HP|Hp)\b|(?=[\^_=]|exp\b))(?P<rest>.*)")
_JOINED_CLEF = re.compile(r"^([A-G][#b]?)(?=clef=|treble|alto|tenor|bass)")  # "Gtreble"


@dataclass(frozen=True)
class Key:
    """A key.

    Parameters
    ----------
    tonic : str, optional
        Tonic: "C", "F#", "Bb"; None for no key and for the keys of bagpipes.
    mode : str
        "maj", "min", "dor", "mix", "phr", "lyd", "loc", "none", or "HP" and "Hp" (bagpipes: F and C
        sharp, as abc2midi plays them).
    changes : tuple of (letter, alteration), default ()
        Signs written beside tonic and mode, in semitones.
    is_explicit : bool, default False
        Whether `changes` are the whole signature ("exp").

    Examples
    --------
    >>> key = Key.parse("A Dorian")
    >>> key.abc, key.signature, key.tonic_pitch_class
    ('Ador', {'F': 1}, 9)
    """

    tonic: str | None
    mode: str
    changes: tuple[tuple[str, int], ...] = ()
    is_explicit: bool = False

    @classmethod
    def parse(cls, text: str, *, line: int | None = None, column: int | None = None) -> Key:
        """Read the key of a K: field; its clef, octave and transposition are the tune's.

        Parameters
        ----------
        text : str
            Text after the colon.
        line, column : int, optional
            Place of the text, for the error.

        Returns
        -------
        Key
            Key with the mode in three letters.

        Raises
        ------
        NotationError
            If tonic, mode or a modifier is unknown.

        Examples
        --------
        >>> Key.parse("F#m").abc
        'F#min'
        """
        return read_key_field(text, line=line, column=column)[0] or cls(None, "none")

    @property
    def abc(self) -> str:
        """The value of the K: field."""
        name = self.mode if self.tonic is None else f"{self.tonic}{self.mode}"
        signs = {alter: sign for sign, alter in SIGNS.items()}
        changes = [f"{signs[alter]}{letter.lower()}" for letter, alter in self.changes]
        return " ".join([name, *(["exp"] if self.is_explicit else []), *changes])

    @cached_property
    def signature(self) -> dict[str, int]:
        """The letters that are not natural, with their alterations in semitones."""
        is_pipes = self.mode in ("HP", "Hp") and not self.is_explicit
        signature = {"F": 1, "C": 1} if is_pipes else {}
        if self.tonic is not None and not self.is_explicit:
            fifths = _fifths(self.tonic) + _BRIGHTNESS[self.mode]
            signature = {letter: (fifths - i + 6) // 7 for i, letter in enumerate(_FIFTHS)}
        signature |= dict(self.changes)
        return {letter: alter for letter, alter in signature.items() if alter}

    @property
    def fifths(self) -> int | None:
        """The number of sharps or, below 0, flats, in [-7, 7]; None of a signature no key has.

        >>> Key.parse("Bb").fifths, Key.parse("D exp ^g").fifths
        (-2, None)
        """
        count = len(self.signature)
        if self.signature == dict.fromkeys(_FIFTHS[:count], 1):
            return count
        return -count if self.signature == dict.fromkeys(_FIFTHS[7 - count :], -1) else None

    @property
    def tonic_pitch_class(self) -> int | None:
        """The tonic's pitch class, 0 for C; None without tonic."""
        if self.tonic is None:
            return None
        return (NATURAL[self.tonic[0]] + _alteration(self.tonic)) % 12

    @cached_property
    def pitch_classes(self) -> frozenset[int]:
        """The pitch classes of the scale, 0 for C."""
        return frozenset((NATURAL[x] + self.signature.get(x, 0)) % 12 for x in LETTERS)


def _fifths(tonic: str) -> int:
    return _FIFTHS.index(tonic[0]) - 1 + 7 * _alteration(tonic)


def _alteration(tonic: str) -> int:
    return tonic.count("#") - tonic.count("b")


def read_key_field(
    text: str, *, line: int | None = None, column: int | None = None
) -> tuple[Key | None, Specifiers]:
    """Read a K: field: its key, None if it names none but a clef, and its other specifiers."""
    try:
        return _parse(_JOINED_CLEF.sub(r"\1 ", text.strip()))
    except ValueError as fault:
        raise NotationError(
            f"K: is {text.strip()!r}: {fault}", reason="key field", line=line, column=column
        ) from None


@cache
def _parse(text: str) -> tuple[Key | None, Specifiers]:
    """Return key and specifiers; a `ValueError` names the fault of the text."""
    specifiers, words = read_specifiers(text)
    if not words:
        return (Key(None, "none") if not text else None), specifiers
    name = " ".join(words)
    if match := _NO_TONIC.fullmatch(name):
        return _modified(None, match["mode"] or "none", match["rest"]), specifiers
    match = _KEY.fullmatch(name)
    if match is None:
        raise ValueError("needs a tonic such as C, F# or Bb and a mode, HP, Hp or none")
    tonic, mode, rest = match["tonic"], match["mode"], match["rest"]
    if mode.lower() == "exp":
        mode, rest = "", f"{mode}{rest}"
    mode = mode if mode == "" else mode.lower()[:3]
    mode = _SPELLINGS.get(mode, mode)
    if mode not in MODES:
        raise ValueError(f"mode is {match['mode']!r}, needs one of {' '.join(MODES)} (ion, aeo, m)")
    return _modified(tonic, mode, rest), specifiers


def _modified(tonic: str | None, mode: str, rest: str) -> Key:
    """Read the words after the mode: "exp" and accidentals."""
    changes: list[tuple[str, int]] = []
    words = [word.lower() for word in rest.split()]
    for word in words:
        signs = _CHANGE.findall(word)
        if signs and "".join(sign + letter for sign, letter in signs) == word:
            changes += [(letter.upper(), SIGNS[sign]) for sign, letter in signs]
        elif word != "exp":
            raise ValueError(f"{word!r} came after the mode, needs accidentals such as ^f, or exp")
    return Key(tonic, mode, tuple(changes), is_explicit="exp" in words)
