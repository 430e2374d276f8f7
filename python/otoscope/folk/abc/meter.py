"""Meters: the M: field of ABC and the length of a measure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from otoscope.folk.abc.errors import NotationError

__all__ = ["FREE", "Meter"]

_SIGNS = {"C": Fraction(1), "C|": Fraction(1)}
_FRACTION = re.compile(r"\(?(\d{1,3}(?:\+\d{1,3})*)\)?/(\d{1,3})")


@dataclass(frozen=True)
class Meter:
    """A meter.

    Parameters
    ----------
    text : str
        Meter as written: "6/8", "C|", "2+3/8" or "none".
    length : Fraction, optional
        Length of a measure in whole notes; None for free meter.

    Examples
    --------
    >>> Meter.parse("C|").length, Meter.parse("6/8").is_compound
    (Fraction(1, 1), True)
    """

    text: str
    length: Fraction | None

    @classmethod
    def parse(cls, text: str, *, line: int | None = None, column: int | None = None) -> Meter:
        """Read the value of an M: field.

        Parameters
        ----------
        text : str
            Text after the colon; "" and "none" are free meter.
        line, column : int, optional
            Place of the text, for the error.

        Returns
        -------
        Meter
            Meter whose text has no spaces.

        Raises
        ------
        NotationError
            If the text is none of "C", "C|", "none" and fractions such as "6/8" and "2+3/8".

        Examples
        --------
        >>> Meter.parse("2+3/8").length
        Fraction(5, 8)
        """
        text = "".join(text.split())
        if text in ("", "none"):
            return FREE
        if text in _SIGNS:
            return cls(text, _SIGNS[text])
        match = _FRACTION.fullmatch(text)
        beats = sum(map(int, match[1].split("+"))) if match else 0
        if match is None or not beats or not int(match[2]):
            raise NotationError(
                f"M: is {text!r}, needs C, C|, none or a fraction such as 6/8",
                reason="meter field",
                line=line,
                column=column,
            )
        return cls(text, Fraction(beats, int(match[2])))

    @property
    def counted(self) -> tuple[int, int]:
        """Number of beats, and the beat type: (6, 8) for 6/8, (4, 4) for C, (0, 4) for none."""
        if self.length is None:
            return 0, 4
        text = {"C": "4/4", "C|": "2/2"}.get(self.text, self.text)
        beats, beat_type = re.sub(r"[()]", "", text).split("/")
        return sum(map(int, beats.split("+"))), int(beat_type)

    @property
    def is_compound(self) -> bool:
        """Whether beats divide into three: 6/8, 9/8, 12/8."""
        return self.text in ("6/8", "9/8", "12/8")

    @property
    def beat(self) -> Fraction:
        """Length that one beam joins, in whole notes."""
        if self.is_compound:
            return Fraction(3, 8)
        if self.length is None or self.text.endswith("/8"):
            return self.length or Fraction(1, 4)
        return Fraction(1, 2) if self.length == 1 else Fraction(1, 4)


FREE = Meter("none", None)
