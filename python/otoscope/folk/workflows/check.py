"""Check tunes against the conventions of folk music, always beside real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.folk.metrics import (
    RULES,
    Conventions,
    Summary,
    TuneCheck,
    check_tune,
    difference,
    summarise,
)
from otoscope.folk.workflows._tune_books import Entry, held_out, read_entries
from otoscope.progress import Progress

__all__ = ["CheckFolk", "CheckedFolk", "check_folk"]


@dataclass(frozen=True)
class CheckFolk:
    """What to check, and against what.

    Parameters
    ----------
    source : str
        A file of ABC or of tokens, a folder of ABC files, a collection, or a prepared folder.
    against : str, optional
        Real tunes, likewise; of a prepared folder those that were held out. By default those that
        were held out from the network that comes with the package: its card has their rates.
    conventions : Conventions
        Bounds of the rules.

    Examples
    --------
    >>> CheckFolk("a.abc", against="tunes").conventions.widest_range
    28
    """

    source: str
    against: str | None = None
    conventions: Conventions = field(default_factory=Conventions)


@dataclass(frozen=True, eq=False)
class CheckedFolk:
    """What was found.

    Parameters
    ----------
    settings : CheckFolk
        What was asked for.
    tunes : tuple of (Entry, TuneCheck)
        In the order of the file.
    summary : Summary
        Their rates.
    real : Summary, optional
        Rates of the real tunes; None if the bounds are not those that they were measured with.

    Examples
    --------
    >>> check_folk(CheckFolk("a.abc")).summary.rates["valid"].count  # doctest: +SKIP
    58
    """

    settings: CheckFolk
    tunes: tuple[tuple[Entry, TuneCheck], ...]
    summary: Summary
    real: Summary | None

    @cached_property
    def sentence(self) -> str:
        """How many tunes are valid, beside real ones."""
        rate = self.summary.rates["valid"]
        counted = f"{rate.count:,} of {rate.of:,} tunes" if rate.of > 1 else "The tune"
        said = (
            f"{counted} can be read and have bars that add up ({100 * rate.interval.value:.1f} %)"
        )
        if rate.of == 1:
            said = f"The tune {'is' if rate.count else 'is not'} valid"
        if self.real is None:
            return f"{said}."
        real = self.real.rates["valid"]
        return f"{said}; of {real.of:,} real tunes {100 * real.interval.value:.1f} %."

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known."""
        return tuple(self._notes())

    def to_dict(self) -> dict[str, Any]:
        """Give settings, tunes and rates in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "tunes": [
                        {"number": entry.number, **check.to_dict()} for entry, check in self.tunes
                    ],
                    "summary": self.summary.to_dict(),
                    "real": self.real and self.real.to_dict(),
                    "differences": self._differences,
                    "rules": RULES,
                    "notes": self.notes,
                    "versions": records.versions(),
                }
            )
        )
        return plain

    @property
    def _differences(self) -> dict[str, dict[str, float]] | None:
        """Rates minus those of real tunes, with bounds."""
        if self.real is None:
            return None
        found = {}
        for name, rate in self.summary.rates.items():
            if name in self.real.rates:
                apart = difference(rate, self.real.rates[name])
                found[name] = {"value": apart.value, "low": apart.low, "high": apart.high}
        return found

    def _notes(self) -> Iterator[str]:
        if self.settings.against is None:
            yield (
                "Real tunes are those of old prints that were held out from folkrnn-small. "
                "--against compares with others: a folder of otoscope folk prepare, ABC, or a "
                "collection."
                if self.real
                else "No real tunes to compare with at other bounds than the usual; give --against."
            )


def check_folk(settings: CheckFolk, *, progress: Progress | None = None) -> CheckedFolk:
    """Check tunes, and the real ones to compare with.

    Parameters
    ----------
    settings : CheckFolk
        What to check.
    progress : callable, optional
        Goes over the "tunes", and over the "real tunes".

    Returns
    -------
    CheckedFolk
        A check a tune, and rates.

    Raises
    ------
    ParameterError
        If a file is missing, empty or not text, or no tune of it is found.

    Examples
    --------
    >>> check_folk(CheckFolk("a.abc")).sentence  # doctest: +SKIP
    '58 of 64 tunes can be read and have bars that add up (90.6 %).'
    """
    progress = progress or (lambda items, _: items)
    tunes = read_entries(settings.source)
    if not tunes:
        raise ParameterError(f"{settings.source} has no tune")
    found = [_check(entry, settings) for entry in progress(tunes, "tunes")]
    checked = tuple(zip(tunes, found, strict=True))
    return CheckedFolk(settings, checked, summarise(found), _real(settings, progress))


def _real(settings: CheckFolk, progress: Progress) -> Summary | None:
    if settings.against is not None:
        entries = held_out(settings.against)
        return summarise([_check(entry, settings) for entry in progress(entries, "real tunes")])
    if settings.conventions != Conventions():
        return None
    from otoscope.folk.model import load_folkrnn

    return Summary.from_dict(load_folkrnn().card["held_out"])


def _check(entry: Entry, settings: CheckFolk) -> TuneCheck:
    return check_tune(entry.tune, conventions=settings.conventions, name=entry.title)
