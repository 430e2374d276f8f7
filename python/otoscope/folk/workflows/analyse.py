"""Compare generated tunes with real ones as populations: the first of the paper's three views."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError
from otoscope.folk.data import is_prepared
from otoscope.folk.metrics import (
    AspectFigure,
    PopulationDistance,
    check_tune,
    compare_tunes,
    tune_figures,
)
from otoscope.folk.report.population import save_population
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.book_tunes import BookTune, left_out_notes, read_book_tunes
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import numpy_generator

__all__ = ["AnalyseFolkConfig", "AnalyseFolkResult", "analyse_folk", "save_analysis"]

_ALPHA = 0.05


@dataclass(frozen=True)
class AnalyseFolkConfig:
    """Two populations of tunes to compare.

    Parameters
    ----------
    real : str
        Real tunes. For a prepared folder the held-out tunes are compared, and the training tunes
        give the noise floor. A file of ABC or of tokens, a folder of ABC files or a collection is
        split into random halves for these two.
    generated : str
        Generated tunes: a file of ABC or of tokens, or a folder of ABC files.
    n_draws : int
        Number of draws of the bootstrap, of the permutation test and of the noise floor.
    seed : int
        Random seed of the draws and of the halves.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    real: str
    generated: str
    n_draws: int = 2000
    seed: int = 0
    strict: bool = False


@dataclass(frozen=True, eq=False)
class AnalyseFolkResult:
    """Distances of generated from real tunes.

    Parameters
    ----------
    settings : AnalyseFolkConfig
        Settings of the comparison.
    n_generated, n_held_out, n_train : int
        Numbers of tunes, unreadable ones included.
    distances : tuple of PopulationDistance
        Distances by aspect.
    halves : bool
        Whether the held-out tunes are a random half, which the model may have been trained on.
    left_out : tuple of str
        Note on tunes of which voices were left out.
    figures : tuple of AspectFigure
        Distributions of generated and held-out tunes by aspect.
    """

    settings: AnalyseFolkConfig
    n_generated: int
    n_held_out: int
    n_train: int
    distances: tuple[PopulationDistance, ...]
    halves: bool
    left_out: tuple[str, ...] = ()
    figures: tuple[AspectFigure, ...] = ()

    @property
    def significant(self) -> tuple[PopulationDistance, ...]:
        """Distances that are significant at 5 % after Holm's correction."""
        return tuple(distance for distance in self.distances if distance.p_holm < _ALPHA)

    @property
    def sentence(self) -> str:
        """Aspects in which the generated tunes differ from real ones."""
        aspects = list(dict.fromkeys(distance.aspect for distance in self.significant))
        differ = f"differ from {self.n_held_out:,} real ones in {', '.join(aspects)}"
        same = f"cannot be told from {self.n_held_out:,} real ones by these distances"
        return f"{self.n_generated:,} generated tunes {differ if aspects else same}."

    @property
    def notes(self) -> tuple[str, ...]:
        """Limits of the comparison."""
        few = self._few_draws
        if not self.halves:
            return (*few, *self.left_out)
        return (
            *few,
            f"{self.settings.real} is not a prepared folder: held-out tunes and those of the "
            "floor are two random halves of it. A model trained on them has an unfair advantage.",
            *self.left_out,
        )

    @property
    def _few_draws(self) -> tuple[str, ...]:
        """Say so if no p can be small enough: it is at least 1 / (draws + 1)."""
        n, draws = len(self.distances), self.settings.n_draws
        if n < _ALPHA * (1 + draws):
            return ()
        return (
            f"With {draws:,} draws none of {n} distances can be significant; take --draws "
            f"{round(n / _ALPHA):,} or more.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.AnalyseFolk",
            2,
            {
                "settings": self.settings,
                "generated": self.n_generated,
                "held_out": self.n_held_out,
                "train": self.n_train,
                "distances": self.distances,
                "figures": self.figures,
                "sentence": self.sentence,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )


def analyse_folk(settings: AnalyseFolkConfig, *, progress: Progress = silent) -> AnalyseFolkResult:
    """Compare two populations of tunes."""
    read = partial(read_book_tunes, strict=settings.strict)
    halves = not is_prepared(settings.real)
    if halves:
        held_out, train = _halves(read(settings.real), settings.seed)
    else:
        held_out = read(settings.real, splits=("valid", "test"))
        train = read(settings.real, splits=("train",))
    books = {
        "generated tunes": read(settings.generated),
        "held-out tunes": held_out,
        "training tunes": train,
    }
    checks = [
        [check_tune(tune.tune) for tune in tracked(progress, tunes, name)] if tunes else []
        for name, tunes in books.items()
    ]
    tokens = [[_tokens(tune) for tune in tunes] for tunes in books.values()]
    distances = compare_tunes(*checks, tokens=tokens, n_draws=settings.n_draws, seed=settings.seed)
    figures = tune_figures(*checks[:2], tokens=tokens[:2])
    n, m, n_train = map(len, checks)
    left_out = left_out_notes(tune for tunes in books.values() for tune in tunes)
    return AnalyseFolkResult(settings, n, m, n_train, distances, halves, left_out, figures)


def save_analysis(result: AnalyseFolkResult, path: Path) -> None:
    """Write a page with a figure of each aspect, its distances, and the noise floor."""
    save_population(
        result.distances,
        result.figures,
        path,
        title=f"{Path(result.settings.generated).name} beside {Path(result.settings.real).name}",
        about=f"{result.n_generated:,} generated tunes, {result.n_held_out:,} held-out real ones",
        record=result.to_dict(),
    )


def _tokens(tune: BookTune) -> list[str] | None:
    """Tokens on root C, or None."""
    if isinstance(tune.tune, NotationError):
        return None
    try:
        return get_tokeniser("v2").tokens(tune.tune)
    except NotationError:
        return None


def _halves(tunes: list[BookTune], seed: int) -> tuple[list[BookTune], list[BookTune]]:
    if len(tunes) < 4:
        raise ParameterError(f"{len(tunes)} real tunes are too few to compare with; need 4")
    order = numpy_generator(seed).permutation(len(tunes)).tolist()
    middle = len(tunes) // 2
    return [tunes[i] for i in order[:middle]], [tunes[i] for i in order[middle:]]
