"""Check tunes against the conventions of folk music, always beside real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.metrics import (
    RATES,
    Conventions,
    Summary,
    TuneCheck,
    check_tune,
    difference,
    summarise,
)
from otoscope.folk.model.shipped import shipped_card
from otoscope.folk.workflows.book_tunes import (
    BookTune,
    held_out_tunes,
    left_out_notes,
    picked_notes,
    read_book_tunes,
)
from otoscope.progress import Progress, silent, tracked

__all__ = ["CheckFolkConfig", "CheckFolkResult", "check_folk"]


@dataclass(frozen=True)
class CheckFolkConfig:
    """Tunes to check, and real tunes to compare with.

    Parameters
    ----------
    source : str
        File of ABC or of tokens, folder of ABC files, collection, or prepared folder.
    against : str, optional
        Real tunes, likewise; of a prepared folder the held-out tunes. Default: the tunes held out
        from the network that comes with the package, whose rates are in its model card.
    conventions : Conventions
        Bounds of the rules.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    source: str
    against: str | None = None
    conventions: Conventions = field(default_factory=Conventions)
    strict: bool = False


@dataclass(frozen=True, eq=False)
class CheckFolkResult:
    """Checks of tunes, and their rates beside those of real tunes.

    Parameters
    ----------
    settings : CheckFolkConfig
        Settings of the check.
    tunes : tuple of (BookTune, TuneCheck)
        Tunes in the order of the file.
    summary : Summary
        Rates of the tunes without those picked by a judge. If all are picked ones, it counts them,
        and its rates are not shown: they would say nothing of the model.
    real : Summary, optional
        Rates of the real tunes; None if those of the model card were measured with other bounds, or
        all tunes are picked ones.
    """

    settings: CheckFolkConfig
    tunes: tuple[tuple[BookTune, TuneCheck], ...]
    summary: Summary
    real: Summary | None

    @property
    def sentence(self) -> str:
        """Number of valid tunes, beside real ones."""
        rate = self.summary.rates["valid"]
        text = f"{rate.count:,} of {rate.of:,} tunes can be read and have bars that add up"
        if not self.all_picked:
            text += f" ({100 * rate.interval.value:.1f} %)"
        if rate.of == 1:
            text = f"The tune {'is' if rate.count else 'is not'} valid"
        if self.real is None:
            return f"{text}."
        real = self.real.rates["valid"]
        return f"{text}; of {real.of:,} real tunes {100 * real.interval.value:.1f} %."

    @property
    def notes(self) -> tuple[str, ...]:
        """Origin of the real tunes, and voices that were left out."""
        tunes = [tune for tune, _ in self.tunes]
        left_out = (*picked_notes(tunes, are_counted=self.all_picked), *left_out_notes(tunes))
        if self.settings.against is not None or self.all_picked:
            return left_out
        if self.real is None:
            return (
                "No real tunes to compare with at other bounds than the default; give --against.",
                *left_out,
            )
        return (
            "Real tunes are those of old prints that were held out from folkrnn-small. --against "
            "compares with others: a folder of otoscope folk prepare, ABC, or a collection.",
            *left_out,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return settings, checks and rates in JSON's types."""
        tunes = [
            {"number": tune.number, **check.to_dict(), "notices": tune.notices}
            for tune, check in self.tunes
        ]
        return document(
            "otoscope.CheckFolk",
            4,  # 1 had other valid tunes, and "findings"; 2 "schema"; 3 rates of picked tunes
            {
                "settings": self.settings,
                "tunes": tunes,
                "summary": None if self.all_picked else self.summary.to_dict(),
                "real": self.real and self.real.to_dict(),
                "differences": self._differences,
                "rates": RATES,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )

    @property
    def all_picked(self) -> bool:
        """Whether a judge picked all tunes: they are no sample of a model."""
        return all(tune.is_picked for tune, _ in self.tunes)

    @property
    def _differences(self) -> dict[str, dict[str, float]] | None:
        """Rates minus those of real tunes, with bounds."""
        if self.real is None:
            return None
        intervals = {
            name: difference(rate, self.real.rates[name])
            for name, rate in self.summary.rates.items()
            if name in self.real.rates
        }
        return {
            name: {"value": interval.value, "low": interval.low, "high": interval.high}
            for name, interval in intervals.items()
        }


def check_folk(settings: CheckFolkConfig, *, progress: Progress = silent) -> CheckFolkResult:
    """Check tunes, and the real ones to compare with."""
    tunes = read_book_tunes(settings.source, strict=settings.strict)
    if not tunes:
        raise ParameterError(f"{settings.source} has no tune")
    checks = [_check(tune, settings) for tune in tracked(progress, tunes, "tunes")]
    checked = tuple(zip(tunes, checks, strict=True))
    drawn = [check for tune, check in checked if not tune.is_picked]
    real = _real(settings, progress) if drawn else None
    return CheckFolkResult(settings, checked, summarise(drawn or checks), real)


def _real(settings: CheckFolkConfig, progress: Progress) -> Summary | None:
    if settings.against is not None:
        tunes = held_out_tunes(settings.against, strict=settings.strict)
        return summarise(
            [_check(tune, settings) for tune in tracked(progress, tunes, "real tunes")]
        )
    if settings.conventions != Conventions():
        return None
    return Summary.from_dict(shipped_card()["held_out"])


def _check(tune: BookTune, settings: CheckFolkConfig) -> TuneCheck:
    return check_tune(tune.tune, conventions=settings.conventions, name=tune.title)
