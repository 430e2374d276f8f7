"""Judge tunes against a reference collection: screens, grades, and their agreement with ratings."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError, require_extra
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.metrics import Judge, Judgement, check_tune
from otoscope.folk.metrics.judge import JUDGES, PresetName
from otoscope.folk.report.sheet import engrave
from otoscope.folk.report.sound import play_tune
from otoscope.folk.report.tune_sheets import RenderedTune, save_sheets
from otoscope.folk.workflows.book_tunes import (
    BookTune,
    left_out_notes,
    picked_notes,
    read_book_tunes,
)
from otoscope.metrics import Interval
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import numpy_generator

__all__ = ["JudgeFolkConfig", "JudgeFolkResult", "JudgedTune", "judge_folk", "save_ranking"]

_SR = 22050
_LEAST_RATED = 3
_N_DRAWS = 2000


@dataclass(frozen=True)
class JudgeFolkConfig:
    """Tunes to judge, and the collection that they are judged by.

    Parameters
    ----------
    source : str
        File of ABC or of tokens, folder of ABC files, collection, or prepared folder.
    reference : tuple of str
        Reference tunes, likewise: a tradition that the tunes should follow and not copy.
    preset : str
        Challenge whose screens are applied. challenge2020 (double jigs): plagiarism, range, rhythm;
        challenge2022 (reels): plagiarism, rhythm, mode, accidentals.
    copied : float
        Fraction of a tune's runs of ten intervals in one reference tune from which it counts as
        plagiarism, in (0, 1].
    ratings : Path, optional
        CSV file of musicians' ratings, with a column tune (number in the file, from 1) and at least
        one column of numbers; several rows of a tune are several musicians.
    seed : int
        Random seed of the bootstrap of the agreement.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    source: str
    reference: tuple[str, ...]
    preset: str = "challenge2022"
    copied: float = 0.5
    ratings: Path | None = None
    seed: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        if self.preset not in JUDGES:
            raise ParameterError(f"preset is {self.preset!r}, must be {' or '.join(JUDGES)}")
        if not self.reference:
            raise ParameterError("reference is empty; need a file, a folder or a collection")


@dataclass(frozen=True)
class JudgedTune:
    """A tune and its judgement.

    Parameters
    ----------
    number : int
        Number of the tune in its file, from 1.
    name : str
        Title of the tune.
    judgement : Judgement, optional
        Screens and grades; None if the tune could not be read.
    error : str
        Reason why it could not be read, or "".
    rating : float, optional
        Mean of the musicians' ratings.
    """

    number: int
    name: str
    judgement: Judgement | None
    error: str = ""
    rating: float | None = None

    @property
    def order(self) -> tuple[float, float, int]:
        """Sorting key of the ranking; tunes that cannot be read come last."""
        if self.judgement is None:
            return float("inf"), 0.0, self.number
        return *self.judgement.order, self.number

    @property
    def verdict(self) -> str:
        """Failed screens, or "passes"."""
        if self.judgement is None:
            return "cannot be read"
        failed = [screen.name for screen in self.judgement.screens if not screen.passed]
        return f"fails {', '.join(failed)}" if failed else "passes"

    def to_dict(self) -> dict[str, Any]:
        """Return a row in JSON's types."""
        judgement = self.judgement
        return {
            "number": self.number,
            "name": self.name,
            "passed": judgement is not None and judgement.passed,
            "grade": judgement and judgement.grade,
            "judgement": judgement,
            "error": self.error or None,
            "rating": self.rating,
        }


@dataclass(frozen=True, eq=False)
class JudgeFolkResult:
    """Ranked tunes.

    Parameters
    ----------
    settings : JudgeFolkConfig
        Settings of the judge.
    tunes : tuple of JudgedTune
        Tunes from the first to the last of the ranking.
    n_reference : int
        Number of reference tunes that were used.
    agreement : Interval, optional
        Kendall's tau-b between ranking and ratings; bounds of 95 % by a bootstrap of the tunes.
    left_out : tuple of str
        Note on tunes of which voices were left out.
    """

    settings: JudgeFolkConfig
    tunes: tuple[JudgedTune, ...]
    n_reference: int
    agreement: Interval | None = None
    left_out: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Number of tunes that pass all screens."""
        passed = sum(tune.verdict == "passes" for tune in self.tunes)
        screens = JUDGES[self.settings.preset].screens
        return (
            f"{passed:,} of {len(self.tunes):,} tunes pass the screens {', '.join(screens)} "
            f"against {self.n_reference:,} {JUDGES[self.settings.preset].dance}."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Limits of the ranking, or its agreement with musicians."""
        if self.agreement is None:
            worth = (
                "This is a screen, not a jury: its agreement with musicians has not been measured; "
                "--ratings FILE.csv does."
            )
        else:
            low, high = self.agreement.low, self.agreement.high
            worth = (
                f"Kendall's tau between this ranking and the ratings of "
                f"{sum(tune.rating is not None for tune in self.tunes):,} tunes is "
                f"{self.agreement.value:.2f} (95 %: {low:.2f} to {high:.2f})"
                + ("." if low > 0 else "; it may be chance: take the ranking for a screen.")
            )
        return (worth, *self.left_out)

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.JudgeFolk",
            1,
            {
                "settings": self.settings,
                "reference": self.n_reference,
                "screens": JUDGES[self.settings.preset].screens,
                "tunes": [tune.to_dict() for tune in self.tunes],
                "agreement": self.agreement,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )


def judge_folk(settings: JudgeFolkConfig, *, progress: Progress = silent) -> JudgeFolkResult:
    """Judge tunes, and rank them: fewest failed screens first, then the highest grade."""
    tunes = read_book_tunes(settings.source, strict=settings.strict)
    if not any(isinstance(tune.tune, Tune) for tune in tunes):
        first = f": {tunes[0].tune}" if tunes else ""
        raise ParameterError(f"{settings.source} has no tune that can be read{first}")
    read = partial(read_book_tunes, strict=settings.strict)
    reference = [tune for source in settings.reference for tune in read(source)]
    judge = Judge(
        [(tune.title, tune.tune) for tune in reference if isinstance(tune.tune, Tune)],
        preset=cast(PresetName, settings.preset),
        copied=settings.copied,
    )
    ratings = _read_ratings(settings.ratings, len(tunes)) if settings.ratings else {}
    judged = [_judged(tune, judge, ratings) for tune in tracked(progress, tunes, "tunes")]
    ranked = tuple(sorted(judged, key=lambda tune: tune.order))
    agreement = _agreement(ranked, settings.seed) if ratings else None
    picked = picked_notes(tunes, are_counted=True)
    notes = (*picked, *left_out_notes([*tunes, *reference]))
    return JudgeFolkResult(settings, ranked, judge.n_reference, agreement, notes)


def save_ranking(result: JudgeFolkResult, path: Path, *, n: int = 16) -> None:
    """Write a page of the first tunes of a ranking with sheet music, sound and screens."""
    require_extra("verovio", "folk")
    books = read_book_tunes(result.settings.source, strict=result.settings.strict)
    by_number = dict(enumerate(books, start=1))
    shown = [
        _rendered(rank, tune, by_number[tune.number])
        for rank, tune in enumerate(result.tunes[:n], start=1)
    ]
    extent = f"The first {len(shown):,} of {len(result.tunes):,} tunes."
    save_sheets(
        shown,
        path,
        title=f"{Path(result.settings.source).name}, ranked",
        sentence=result.sentence,
        notes=(*result.notes, *([extent] if len(shown) < len(result.tunes) else [])),
    )


def _judged(tune: BookTune, judge: Judge, ratings: dict[int, float]) -> JudgedTune:
    rating = ratings.get(tune.number)
    if isinstance(tune.tune, NotationError):
        return JudgedTune(tune.number, tune.title, None, str(tune.tune), rating)
    return JudgedTune(tune.number, tune.title, judge(tune.tune), "", rating)


def _rendered(rank: int, judged: JudgedTune, book: BookTune) -> RenderedTune:
    check = check_tune(book.tune, name=f"{rank}. {judged.name}")
    if judged.judgement is None or not isinstance(book.tune, Tune):
        return RenderedTune(check)
    remarks = [
        (f"{screen.name}: {'passed' if screen.passed else 'failed'}", screen.message)
        for screen in judged.judgement.screens
    ]
    grades = f"structure {judged.judgement.structure:.2f}, melody {judged.judgement.melody:.2f}"
    remarks.append(("typicality", f"{grades}, both in [0, 1]"))
    if judged.rating is not None:
        remarks.append(("musicians", f"{judged.rating:.2f}"))
    y = play_tune(book.tune, sr=_SR)
    return RenderedTune(
        check,
        engrave(book.tune),
        y,
        _SR,
        tuple(remarks),
        narrow=engrave(book.tune, narrow=True),
        tune=book.tune,
        file_name=book.file_name,
    )


def _read_ratings(path: Path, n_tunes: int) -> dict[int, float]:
    """Read the mean rating of each tune."""
    if not path.is_file():
        raise ParameterError(f"there is no file {path} with ratings")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "tune" not in rows[0]:
        raise ParameterError(f"{path} has no column tune, or no row; need tune and ratings")
    ratings: defaultdict[int, list[float]] = defaultdict(list)
    for line, row in enumerate(rows, start=2):
        for name, text in row.items():
            if name == "tune" or not (text or "").strip():
                continue
            try:
                number, value = int(row["tune"]), float(text)
            except (TypeError, ValueError):
                continue  # names of musicians, remarks
            if not 1 <= number <= n_tunes or not np.isfinite(value):
                raise ParameterError(
                    f"{path}, line {line}: tune {number}, rating {text}; there are {n_tunes} "
                    "tunes, and a rating is a finite number"
                )
            ratings[number].append(value)
    if len(ratings) < _LEAST_RATED:
        raise ParameterError(
            f"{path} has numbers for {len(ratings)} tunes, needs them for {_LEAST_RATED} or more"
        )
    return {number: float(np.mean(values)) for number, values in ratings.items()}


def _agreement(ranked: tuple[JudgedTune, ...], seed: int) -> Interval | None:
    """Kendall's tau-b between ranking and ratings."""
    from scipy.stats import kendalltau

    rated = [(-i, tune.rating) for i, tune in enumerate(ranked) if tune.rating is not None]
    ranks, ratings = np.array(rated, dtype=float).T
    if len(set(ratings)) < 2:
        raise ParameterError("all ratings are equal: no agreement can be measured")
    draws = numpy_generator(seed).integers(0, len(ranks), (_N_DRAWS, len(ranks)))
    taus = np.array([kendalltau(ranks[draw], ratings[draw]).statistic for draw in draws])
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return Interval(float(kendalltau(ranks, ratings).statistic), float(low), float(high), 0.95)
