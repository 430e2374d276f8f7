"""Form of a tune: its sections by letter and number of bars, and how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

from otoscope.errors import ParameterError

__all__ = ["Form", "Section"]

_GROUP = re.compile(r"\s*([A-Za-z]+)\s*:?\s*(\d{1,4})?[\s,;]*")
_BARS = 8
_LEAST_BARS, _MOST_BARS = 2, 32
_MOST_SECTIONS = 32


@dataclass(frozen=True)
class Section:
    """A section as it is written.

    Parameters
    ----------
    letter : str
        Letter; a section of an earlier letter is a copy of the first one.
    bars : int
        Number of bars, a pickup not counted.
    is_repeated : bool
        Whether it is written once and played twice.

    Examples
    --------
    >>> Section("A", 8, True).ending
    2
    """

    letter: str
    bars: int
    is_repeated: bool

    @property
    def ending(self) -> int:
        """Number of bars at the end in which copies may differ: a quarter, at least one."""
        return max(1, self.bars // 4)


@dataclass(frozen=True)
class Form:
    """Form of a tune.

    Parameters
    ----------
    sections : tuple of (str, int)
        Letter and number of bars of each section as played.

    Examples
    --------
    >>> Form.parse("AABB").text
    'AABB:8'
    >>> Form.parse("aa8 b16").text
    'AA:8 B:16'
    >>> [section.is_repeated for section in Form.parse("AAB:4").written]
    [True, False]
    """

    sections: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> Form:
        """Read letters and numbers of bars: "AABB:8", "ABAC", "AA:8 BB:16".

        Parameters
        ----------
        text : str
            Groups of letters, each with the number of bars of its sections; without a number, that
            of the next group, at the end 8.

        Returns
        -------
        Form
            The form.

        Raises
        ------
        ParameterError
            If the text is empty or has something else, a letter has different numbers of bars, or
            there are too many.

        Examples
        --------
        >>> Form.parse("ABAC:4").sections
        (('A', 4), ('B', 4), ('A', 4), ('C', 4))
        """
        groups, at = list[tuple[str, int | None]](), 0
        while at < len(text.rstrip()):
            match = _GROUP.match(text, at)
            if match is None:
                raise ParameterError(
                    f"form is {text!r}; {text[at:].strip()[:8]!r} is neither letters nor a number "
                    "of bars: give a form such as AABB:8, ABAC or 'AA:8 BB:16'"
                )
            groups.append((match[1].upper(), int(match[2]) if match[2] else None))
            at = match.end()
        if not groups:
            raise ParameterError(
                f"form is {text!r}, must be letters and numbers of bars such as AABB:8, ABAC or "
                "'AA:8 BB:16'; leave it out for the model's choice"
            )
        sections, bars = list[tuple[str, int]](), _BARS
        for letters, number in reversed(groups):
            bars = bars if number is None else number
            sections[:0] = [(letter, bars) for letter in letters]
        return cls(tuple(sections))

    def __post_init__(self) -> None:
        known: dict[str, int] = {}
        for letter, bars in self.sections:
            if not _LEAST_BARS <= bars <= _MOST_BARS:
                raise ParameterError(
                    f"form gives section {letter} {bars} bars, "
                    f"must be in [{_LEAST_BARS}, {_MOST_BARS}]"
                )
            if known.setdefault(letter, bars) != bars:
                raise ParameterError(
                    f"form gives section {letter} {known[letter]} bars and {bars}; sections of one "
                    "letter are alike: take another letter"
                )
        if not 1 <= len(self.sections) <= _MOST_SECTIONS:
            raise ParameterError(
                f"form has {len(self.sections)} sections, must be in [1, {_MOST_SECTIONS}]"
            )

    @property
    def text(self) -> str:
        """The form in short: "AABB:8"."""
        groups = groupby(self.sections, key=lambda section: section[1])
        return " ".join(f"{''.join(letter for letter, _ in group)}:{n}" for n, group in groups)

    @property
    def as_sections(self) -> tuple[Section, ...]:
        """Sections as played."""
        return tuple(Section(letter, bars, is_repeated=False) for letter, bars in self.sections)

    @property
    def written(self) -> tuple[Section, ...]:
        """Sections as written: two equal ones in a row are one that is repeated."""
        written = []
        for (letter, bars), group in groupby(self.sections):
            n = len(list(group))
            written += [Section(letter, bars, is_repeated=True)] * (n // 2)
            written += [Section(letter, bars, is_repeated=False)] * (n % 2)
        return tuple(written)
