"""Keys: the K: field of ABC, its tonic, mode and signature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

from otoscope.folk.abc.errors import NotationError

__all__ = ["LETTERS", "MODES", "NATURAL", "SIGNS", "Key"]

LETTERS = "CDEFGAB"
NATURAL = dict(zip(LETTERS, (0, 2, 4, 5, 7, 9, 11), strict=True))  # semitones above C
SIGNS = {"__": -2, "_": -1, "=": 0, "^": 1, "^^": 2}
MODES = ("maj", "min", "dor", "mix", "phr", "lyd", "loc")

_FIFTHS = "FCGDAEB"  # the order in which sharps come
_BRIGHTNESS = {"lyd": 1, "maj": 0, "mix": -1, "dor": -2, "min": -3, "phr": -4, "loc": -5}
_SPELLINGS = {"": "maj", "ion": "maj", "m": "min", "aeo": "min"}
_KEY = re.compile(r"(?P<tonic>[A-G][#b]?)\s*(?P<mode>[A-Za-z]*)(?![=\w])(?P<rest>.*)")
_CHANGE = re.compile(r"(\^\^|\^|__|_|=)([A-Ga-g])")
_IGNORED = re.compile(
    r"(?:clef=\S+|(?:treble|bass|alto|tenor|perc|none)\S*|(?:middle|stafflines|staffscale|m)=\S+"
    r"|(?:octave|transpose|t)=0|\"[^\"]*\")"
)


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
        """Read the value of a K: field.

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
            If tonic, mode or a modifier is unknown, or the modifier shifts octaves.

        Examples
        --------
        >>> Key.parse("F#m").abc
        'F#min'
        """
        key = _parse(text.strip())
        if isinstance(key, str):
            raise NotationError(
                f"K: is {text.strip()!r}: {key}", reason="key field", line=line, column=column
            )
        return key

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
        signature = {"F": 1, "C": 1} if self.mode in ("HP", "Hp") else {}
        if self.tonic is not None and not self.is_explicit:
            fifths = _fifths(self.tonic) + _BRIGHTNESS[self.mode]
            signature = {letter: (fifths - i + 6) // 7 for i, letter in enumerate(_FIFTHS)}
        signature |= dict(self.changes)
        return {letter: alter for letter, alter in signature.items() if alter}

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


@cache
def _parse(text: str) -> Key | str:
    """Return the key, or the fault of the text."""
    if text in ("", "none"):
        return Key(None, "none")
    pipes = re.match(r"(HP|Hp)\b", text)
    if pipes:
        return Key(None, pipes[1])
    match = _KEY.fullmatch(text)
    if match is None and re.match(r"(none\b\s*)?(exp\b\s*)?([\^_=]|clef=|treble|bass)", text):
        return _modified(None, "none", re.sub(r"^none\b", "", text))
    if match is None:
        return "needs a tonic such as C, F# or Bb and a mode, HP, Hp or none"
    tonic, mode, rest = match["tonic"], match["mode"], match["rest"]
    if mode.lower() in ("exp", "clef", "treble", "bass", "alto", "tenor"):
        mode, rest = "", f"{mode}{rest}"
    mode = mode if mode == "" else mode.lower()[:3]
    mode = _SPELLINGS.get(mode, mode)
    if mode not in MODES:
        return f"mode is {match['mode']!r}, needs one of {' '.join(MODES)} (or ion, aeo, m)"
    return _modified(tonic, mode, rest)


def _modified(tonic: str | None, mode: str, rest: str) -> Key | str:
    """Read the words after the mode: "exp", accidentals, clefs."""
    changes: list[tuple[str, int]] = []
    for word in (words := rest.split()):
        signs = _CHANGE.findall(word)
        if signs and "".join(sign + letter for sign, letter in signs) == word:
            changes += [(letter.upper(), SIGNS[sign]) for sign, letter in signs]
        elif word != "exp" and not _IGNORED.fullmatch(word):
            return f"{word!r} came after the mode, needs accidentals such as ^f, exp or a clef"
    return Key(tonic, mode, tuple(changes), is_explicit="exp" in words)
