"""Test whether the interrogation finds planted horses and clears honest systems.

The style of synthetic dances determines the tempo, or does not. A system that hears tempo must be
found, one that hears patterns must be cleared; a network on spectral periodicities is one or the
other, depending on its training. Further questions: how weak a confound is found, and how often is
an honest system called a horse?
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from otoscope import records
from otoscope.data import DanceRecipe
from otoscope.data.synthesis.styles import STYLES
from otoscope.errors import ParameterError
from otoscope.intervene import InterrogationResult
from otoscope.papers.c_horse.planted_systems import (
    FEATURES,
    HONEST,
    HORSE,
    SR,
    SYSTEMS,
    PlantedSystem,
    erring,
    interrogate_dances,
    trained,
)
from otoscope.papers.c_horse.planted_tables import draw_horses, horse_tables, is_score_moved
from otoscope.papers.c_horse.stretched_dances import (
    Dances,
    hear_dances,
)
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report import interrogation_record
from otoscope.report.figures import ResultTable

__all__ = ["HorsePlantedConfig", "horse_planted"]

_TRAINED, _TESTED = 0.5, 0.8  # fractions of artists, where many systems are drawn


@dataclass(frozen=True)
class HorsePlantedConfig:
    """Corpus, doses and number of systems of the experiment.

    Parameters
    ----------
    corpus : {"drums", "mma"}
        Drum patterns of our own, or "mma": bands by mma and fluidsynth, in a smaller corpus.
    styles : tuple of str
        Styles; tempi must be close, or 6 % lead to no other style.
    train_artists : int
        Number of artists per style whose clips are trained on, >= 2.
    train_clips : int
        Number of clips per artist in training, >= 1.
    test_artists : int
        Number of other artists per style whose clips are interrogated, >= 2.
    test_clips : int
        Number of clips per artist that is interrogated, >= 1.
    seconds : float
        Analysed duration in seconds, >= 4.5.
    doses : tuple of float
        Tempo changes in percent, each with its placebo.
    levels : tuple of float
        Degrees of confounding of the power curve, in [0, 1].
    n_power : int
        Number of horses per level; each is trained on half of the artists and tested on four fifths
        of the others.
    n_honest : int
        Number of honest models, drawn likewise, and of systems that err at random.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorsePlantedConfig.quick().levels
    (0.0, 1.0)
    """

    corpus: Literal["drums", "mma"] = "drums"
    styles: tuple[str, ...] = tuple(STYLES)
    train_artists: int = 40
    train_clips: int = 8
    test_artists: int = 10
    test_clips: int = 3
    seconds: float = 10.0
    doses: tuple[float, ...] = (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)
    levels: tuple[float, ...] = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
    n_power: int = 20
    n_honest: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.corpus not in ("drums", "mma"):
            raise ParameterError(f"corpus is {self.corpus!r}, must be 'drums' or 'mma'")
        if not self.doses or 0 in self.doses:
            raise ParameterError(f"doses are {self.doses}; need one or more, none of them 0")
        if not self.seconds >= 4.5:
            raise ParameterError(f"seconds is {self.seconds}, must be >= 4.5, for lags of 4 s")
        if not self.levels or not all(0 <= level <= 1 for level in self.levels):
            raise ParameterError(f"levels are {self.levels}; need one or more, all in [0, 1]")
        least = {"train_artists": 2, "test_artists": 2, "train_clips": 1, "test_clips": 1}
        for name, low in {**least, "n_power": 1, "n_honest": 1}.items():
            if getattr(self, name) < low:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {low}")

    @classmethod
    def quick(cls) -> HorsePlantedConfig:
        """Return a small version: three styles, one dose each way, few systems."""
        return cls(
            styles=("Samba", "ChaChaCha", "Tango"),
            train_artists=8,
            train_clips=3,
            test_artists=8,
            test_clips=2,
            seconds=5.0,
            doses=(-6.0, 6.0),
            levels=(0.0, 1.0),
            n_power=2,
            n_honest=2,
        )

    @classmethod
    def mma(cls) -> HorsePlantedConfig:
        """Return a smaller version for mma's bands, which take minutes to render."""
        return cls(corpus="mma", train_artists=10, train_clips=4, test_artists=8, test_clips=1)

    @classmethod
    def from_options(cls, *, quick: bool = False, **values: Any) -> HorsePlantedConfig:
        """Make the configuration of a corpus and size, with some fields replaced."""
        if values.get("corpus") == "mma":
            if quick:
                raise ParameterError("corpus is 'mma', which has no quick version; use 'drums'")
            return replace(cls.mma(), **values)
        return replace(cls.quick() if quick else cls(), **values)


def horse_planted(
    config: HorsePlantedConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``horse_planted.json`` (configuration, tables, curves, all verdicts) and
    ``horse_planted.svg``. Returns tables of the systems, the power curve and the false alarms.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.
    """
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    train, test = _corpora(config, progress)
    heard = round(time.monotonic() - began)
    rng = np.random.default_rng(config.seed)
    results = {
        system.name: _interrogated(system, train, test, config, rng)
        for system in tracked(progress, SYSTEMS, "systems")
    }
    power = _power(train, test, config, progress)
    alarms = {
        "pattern models": _honest(train, test, config, progress),
        "errors at random": _erring(test, config, progress),
    }
    tables = horse_tables(results, power, alarms)
    record = {
        "settings": config,
        "seconds": {"clips": heard, "all": round(time.monotonic() - began)},
        "versions": records.versions(),
        "tables": tables,
        "systems": SYSTEMS,
        "found": {
            name: interrogation_record(one, is_summary=True) for name, one in results.items()
        },
        "power": power,
        "alarms": alarms,
    }
    write_record(out / "horse_planted.json", record)
    draw_horses(results, power, out / "horse_planted.svg")
    return tables


def _corpora(config: HorsePlantedConfig, progress: Progress) -> tuple[Dances, Dances]:
    """Clips to train on, unchanged; and clips of other artists, at all doses."""
    recipe = DanceRecipe(styles=config.styles, band=config.corpus, seconds=config.seconds, sr=SR)
    made = []
    for part, (n_artists, n_clips, doses) in enumerate(
        (
            (config.train_artists, config.train_clips, ()),
            (config.test_artists, config.test_clips, config.doses),
        )
    ):
        dances = hear_dances(
            len(config.styles) * n_artists * n_clips,
            2 * config.seed + part,
            replace(recipe, n_groups=n_artists),
            FEATURES,
            doses=doses,
            progress=progress,
        )
        made.append(dances)
    return made[0], made[1]


def _interrogated(
    system: PlantedSystem,
    train: Dances,
    test: Dances,
    config: HorsePlantedConfig,
    rng: np.random.Generator,
) -> InterrogationResult:
    """Train a system on a corpus of its confounding, and interrogate it on another of the same."""
    known = train.confounded(system.confounding, rng)
    tested = test.confounded(system.confounding, rng)
    predict = trained(system, known, seed=int(rng.integers(2**31)))
    features = tested.features[system.hears]
    return interrogate_dances(predict, features, tested, config.doses, seed=config.seed)


def _power(
    train: Dances, test: Dances, config: HorsePlantedConfig, progress: Progress
) -> list[dict[str, Any]]:
    """Interrogate horses of every degree, several of each."""
    rows = []
    for i, level in enumerate(config.levels):
        system = replace(HORSE, confounding=level)
        for run in tracked(progress, range(config.n_power), f"confounding {level:g}"):
            rng = np.random.default_rng((config.seed, 1, i, run))
            result = _of_some_artists(system, train, test, config, rng)
            rows.append({"confounding": level, **_row(result)})
    return rows


def _honest(
    train: Dances, test: Dances, config: HorsePlantedConfig, progress: Progress
) -> list[dict[str, Any]]:
    """Interrogate models that do not hear tempo."""
    rows = []
    for run in tracked(progress, range(config.n_honest), "honest models"):
        rng = np.random.default_rng((config.seed, 2, run))
        rows.append(_row(_of_some_artists(HONEST, train, test, config, rng)))
    return rows


def _erring(test: Dances, config: HorsePlantedConfig, progress: Progress) -> list[dict[str, Any]]:
    """Interrogate systems that are told the style, and err at random whatever the tempo."""
    rows = []
    for run in tracked(progress, range(config.n_honest), "errors at random"):
        rng = np.random.default_rng((config.seed, 3, run))
        tested = test.some_artists(_TESTED, rng).confounded(0.0, rng)
        predict, inputs = erring(tested, rng)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the model is random")  # as it is meant to be
            result = interrogate_dances(predict, inputs, tested, config.doses, seed=config.seed)
            rows.append(_row(result))
    return rows


def _of_some_artists(
    system: PlantedSystem,
    train: Dances,
    test: Dances,
    config: HorsePlantedConfig,
    rng: np.random.Generator,
) -> InterrogationResult:
    some, others = train.some_artists(_TRAINED, rng), test.some_artists(_TESTED, rng)
    return _interrogated(system, some, others, config, rng)


def _row(result: InterrogationResult) -> dict[str, Any]:
    """Return what the power curve and the table of false alarms need."""
    (curve,), (search,) = result.curves, result.searches
    return {
        "verdict": result.verdict.kind,
        "is_score_moved": is_score_moved(result),
        "unchanged": result.baseline.value,
        "worst": curve.worst.score.value,
        "inflated": search.inflated.value if search.inflated else None,
        "deflated": search.deflated.value if search.deflated else None,
        "confound": result.confound.value if result.confound else None,
    }
