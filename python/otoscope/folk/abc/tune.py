"""One tune: its header, its music as a sequence of elements, and what follows from them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

from otoscope.folk.abc._repeats import unfold
from otoscope.folk.abc._segments import find_measures, find_parts
from otoscope.folk.abc.elements import Element
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.measures import Measure, Part
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.sounding import MidiNote, highest, sounding_notes
from otoscope.folk.abc.timing import Timed, timeline

__all__ = ["Tune"]

_TEMPO = re.compile(r"(?:(\d{1,3})/([1-9]\d{0,2})\s*=\s*)?(\d{1,5}(?:\.\d{1,5})?)")


@dataclass(frozen=True)
class Tune:
    """A tune in one voice.

    Parameters
    ----------
    elements : tuple of Element
        The music from left to right, repeats as written.
    key, meter : Key, Meter
        The header's.
    unit : Fraction
        Length of a note written without number (L:), in whole notes.
    headers : tuple of (letter, text)
        The other header fields in order, without X.
    reference : int, optional
        The number after X:.
    line : int
        Line where it begins. Reference, line and the elements' places are not compared.

    Examples
    --------
    >>> tune = Tune.from_abc("X:1\\nT:Scale\\nM:3/4\\nL:1/4\\nK:G\\n|:GAB|c2d:|")
    >>> tune.title, [measure.duration for measure in tune.measures]
    ('Scale', [Fraction(3, 4), Fraction(3, 4)])
    >>> tune.intervals
    (2, 2, 1, 2)
    """

    elements: tuple[Element, ...]
    key: Key
    meter: Meter
    unit: Fraction = Fraction(1, 8)
    headers: tuple[tuple[str, str], ...] = ()
    reference: int | None = field(default=None, compare=False)
    line: int = field(default=1, compare=False)

    @classmethod
    def from_abc(cls, text: str) -> Tune:
        """Read one tune in ABC notation.

        Parameters
        ----------
        text : str
            From X: (which may be missing) to the end of the music.

        Returns
        -------
        Tune
            Lines and columns are those of the text.

        Raises
        ------
        NotationError
            With line and column: broken notation, several voices, several tunes, no tune.

        Examples
        --------
        >>> Tune.from_abc("K:G\\nG2 F>D|").notes[1].pitch
        66
        """
        from otoscope.folk.abc.book import parse_book

        if not text.strip():
            raise NotationError("the text is empty, needs a tune", reason="empty text")
        tunes = parse_book(text)
        if len(tunes) > 1:
            message = f"{len(tunes)} tunes came, needs one (parse_book reads many)"
            raise NotationError(message, reason="several tunes")
        if isinstance(tunes[0], NotationError):
            raise tunes[0]
        return tunes[0]

    def to_abc(self, number: int | None = None) -> str:
        """Write it in ABC notation.

        Parameters
        ----------
        number : int, optional
            What goes after X:. Default: the tune's reference, else 1.

        Returns
        -------
        str
            Four measures a line, a newline at the end. Reading it gives an equal tune.

        Examples
        --------
        >>> Tune.from_abc("M:C\\nL:1/8\\nK:C\\nCDEF G2A>B|").to_abc().splitlines()[-1]
        'CDEF G2A>B |'
        """
        from otoscope.folk.abc._writing import write_tune

        return write_tune(self, number)

    @property
    def title(self) -> str:
        """The first T: field, or ""."""
        return self._header("T")

    @property
    def rhythm(self) -> str:
        """The R: field, or ""."""
        return self._header("R")

    @property
    def tempo_bpm(self) -> float | None:
        """Quarter notes a minute from Q:, where a bare number counts quarters; None without."""
        match = _TEMPO.search(re.sub(r'"[^"]*"', "", self._header("Q")))
        if match is None:
            return None
        beat = Fraction(int(match[1]), int(match[2])) if match[1] else Fraction(1, 4)
        return float(match[3]) * float(4 * beat)

    @cached_property
    def timeline(self) -> tuple[Timed, ...]:
        """Each element with onset and duration, repeats not played."""
        return timeline(self.elements, self.meter)

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The spans between bar lines that last, as written."""
        return find_measures(self.timeline, self.meter)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The segments between repeat marks, each with its endings."""
        return find_parts(self.measures)

    @cached_property
    def unfolded(self) -> Tune:
        """The tune with repeats and endings played out."""
        return replace(self, elements=unfold(self.elements, self.key, self.meter))

    @cached_property
    def notes(self) -> tuple[MidiNote, ...]:
        """The notes as written (``unfolded.notes``: as heard), ties joined, without graces."""
        return sounding_notes(self.timeline)

    @cached_property
    def melody(self) -> tuple[MidiNote, ...]:
        """The highest note at each onset."""
        return highest(self.notes)

    @property
    def intervals(self) -> tuple[int, ...]:
        """The steps of the melody, from each note to the next, in semitones."""
        return tuple(after.pitch - before.pitch for before, after in pairwise(self.melody))

    def _header(self, letter: str) -> str:
        return next((text for name, text in self.headers if name == letter), "")
