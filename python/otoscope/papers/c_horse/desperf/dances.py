"""DeSPerF on generated dances: corpora, trainings and interrogations that its experiments share.

A corpus has two versions of the same clips: *confounded*, in which each style has tempi of its own,
and *separated*, in which all styles have all tempi. Artists of training and test differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope import records
from otoscope.data import DanceRecipe
from otoscope.data.synthesis.styles import STYLES
from otoscope.errors import ParameterError
from otoscope.intervene import Interrogation, InterrogationResult, InterrogationSettings
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.intervene.statistics.confound import confound_only
from otoscope.metrics import Interval
from otoscope.models.desperf import DeSPerF
from otoscope.papers.c_horse.stretched_dances import (
    Dances,
    HeardDances,
    StretchedTempo,
    hear_dances,
)
from otoscope.progress import Progress
from otoscope.report.numbers import with_bounds
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity
from otoscope.train.rhythm import Periodicities, TrainRhythmConfig, train_on_periodicities

__all__ = [
    "CORPORA",
    "FEATURE",
    "Answers",
    "DanceParts",
    "DanceSizes",
    "PartName",
    "answering",
    "baselines",
    "check_seeds",
    "corpus",
    "hear_part",
    "interrogated",
    "over_seeds",
    "seeds_text",
    "settings_of",
    "summary",
    "trained",
]

FEATURE = SpectralPeriodicity(sample_rate=11025, n_fft=1024, hop_length=110)
"""Frames of 93 ms every 10 ms, lags to 4 s: 400 values."""

CORPORA: Mapping[str, float] = {"confounded": 1.0, "separated": 0.0}
"""Probability that a clip's tempo is its style's own."""

_VALIDATED = 5  # every fifth artist of the training is for its validation
_EPOCHS = 100

Answers = Callable[[Tensor], list[str]]
"""Function of features [item, lag] to labels."""

PartName = Literal["train", "test", "repair train", "repair test"]
"""Part of the dances; no two parts have an artist in common."""


@dataclass(frozen=True)
class DanceSizes:
    """Sizes of the corpora.

    Parameters
    ----------
    styles : tuple of str
        Styles; neighbours in tempo, or 6 % lead to no other.
    artists, clips : int
        Number of artists per style to train on, and of clips per artist.
    test_artists, test_clips : int
        Number of other artists per style who are interrogated, and of their clips.
    seconds : float
        Analysed duration, in seconds, >= 4.5: lags reach 4 s.
    doses : tuple of float
        Tempo changes in percent, each with its placebo.

    Raises
    ------
    ParameterError
        If a size is out of range.

    Examples
    --------
    >>> DanceSizes.quick().doses
    (-6.0, 6.0)
    """

    styles: tuple[str, ...] = tuple(STYLES)
    artists: int = 16
    clips: int = 6
    test_artists: int = 12
    test_clips: int = 2
    seconds: float = 10.0
    doses: tuple[float, ...] = (-6.0, -3.0, 3.0, 6.0)

    def __post_init__(self) -> None:
        for name, least in {"artists": 3, "clips": 1, "test_artists": 2, "test_clips": 1}.items():
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {least}")
        if not self.seconds >= 4.5 or not self.doses or 0 in self.doses:
            raise ParameterError(
                f"seconds is {self.seconds} and doses {self.doses}; need >= 4.5 s, and one dose or "
                "more, none of them 0"
            )

    @classmethod
    def quick(cls) -> DanceSizes:
        """Return a small version: three styles, few artists, one dose each way."""
        return cls(
            styles=("Samba", "ChaChaCha", "Tango"),
            artists=5,
            clips=6,
            test_artists=4,
            seconds=4.6,
            doses=(-6.0, 6.0),
        )


def timbre(y: Tensor) -> Tensor:
    """Compute mean and deviation of the MFCCs of sounds [..., sample]: [..., 2 * mfcc]."""
    frames = FEATURE.mfcc(y)
    return torch.cat([frames.mean(-2), frames.std(-2)], -1)


def check_seeds(seeds: int) -> None:
    """Refuse a number of trainings below 1."""
    if seeds < 1:
        raise ParameterError(f"seeds is {seeds}, must be >= 1")


def settings_of(config: Any) -> dict[str, Any]:
    """Return all of a configuration but the folder of the features, which changes no result."""
    return {name: value for name, value in vars(config).items() if name != "dances"}


def hear_part(
    part: PartName,
    sizes: DanceSizes,
    folder: Path,
    *,
    seed: int,
    doses: Sequence[float] = (),
    versions: Sequence[str] = tuple(CORPORA),
    progress: Progress,
) -> Dances:
    """Render the clips of a part, or read their features from ``folder``.

    Clips of two parts, or of two seeds, have no artist in common. ``versions`` are those of the
    clips that are rendered, in this order.
    """
    is_test = part.endswith("test")
    n_artists = sizes.test_artists if is_test else sizes.artists
    n_clips = sizes.test_clips if is_test else sizes.clips
    place = get_args(PartName).index(part)
    recipe = DanceRecipe(
        styles=sizes.styles,
        n_groups=n_artists,
        seconds=sizes.seconds,
        sr=FEATURE.sample_rate,
    )
    arguments = {
        "n_clips": len(sizes.styles) * n_artists * n_clips,
        "seed": 4 * seed + place,
        "recipe": recipe,
        "doses": tuple(doses),
        "confoundings": tuple(CORPORA[version] for version in versions),
    }
    content = records.to_json({**arguments, "feature": asdict(FEATURE), "version": 1})
    name = f"{part.replace(' ', '-')}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    return hear_dances(
        **arguments,  # type: ignore[arg-type]
        described={"periodicity": FEATURE, "timbre": timbre},
        kept=folder / name,
        progress=progress,
    )


def corpus(dances: Dances, name: str) -> HeardDances:
    """Take the clips of one version, "confounded" or "separated", of those that were rendered."""
    return dances.version(list(CORPORA).index(name))


class _Config(Protocol):
    """Hold what the configurations of these experiments share."""

    @property
    def sizes(self) -> DanceSizes: ...

    @property
    def dances(self) -> Path | None: ...

    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, eq=False)
class DanceParts:
    """Clips to train on, and clips of other artists, heard when they are first needed.

    ``out`` is the folder of the results, where features are kept unless the configuration names
    another. The clips of ``train_part`` are changed by ``train_doses`` and rendered in
    ``train_versions``, those of ``test_part`` at all doses of the sizes, in both versions.
    """

    config: _Config
    out: Path
    progress: Progress
    train_part: PartName = "train"
    test_part: PartName = "test"
    train_doses: tuple[float, ...] = ()
    train_versions: tuple[str, ...] = tuple(CORPORA)

    def known(self, version: str) -> HeardDances:
        """Take one version of the clips to train on."""
        return corpus(self._train, version)

    def tested(self, version: str) -> HeardDances:
        """Take one version of the clips of the other artists."""
        return corpus(self._test, version)

    @cached_property
    def _train(self) -> Dances:
        return self._heard(self.train_part, self.train_doses, self.train_versions)

    @cached_property
    def _test(self) -> Dances:
        return self._heard(self.test_part, self.config.sizes.doses, tuple(CORPORA))

    def _heard(self, part: PartName, doses: tuple[float, ...], versions: tuple[str, ...]) -> Dances:
        config = self.config
        return hear_part(
            part,
            config.sizes,
            config.dances or self.out / "dances",
            seed=config.seed,
            doses=doses,
            versions=versions,
            progress=self.progress,
        )


def trained(
    known: HeardDances,
    sizes: DanceSizes,
    *,
    seed: int,
    renderings: Sequence[int] = (0,),
    clips: NDArray[np.intp] | None = None,
) -> DeSPerF:
    """Train DeSPerF on renderings of clips: all, or those drawn, which may repeat.

    One in five artists is for the validation; if clips are drawn, artists of the draw.
    """
    chosen = np.arange(len(known.style)) if clips is None else clips
    artists = known.artist[chosen]
    is_valid = np.zeros(len(chosen), dtype=bool)
    for style in sizes.styles:
        own = np.unique(artists[known.style[chosen] == style])
        is_valid |= np.isin(
            artists, own[_VALIDATED - 1 :: _VALIDATED] if len(own) > 4 else own[-1:]
        )
    labels = tuple(sorted(sizes.styles))

    def part(of_part: NDArray[np.bool_]) -> Periodicities:
        rows = torch.from_numpy(chosen[of_part])
        features = known.features["periodicity"][rows][:, list(renderings)].flatten(0, 1)
        numbers = np.repeat([labels.index(s) for s in known.style[rows]], len(renderings))
        return Periodicities(list(features[:, None]), torch.from_numpy(numbers))

    settings = TrainRhythmConfig(segment=sizes.seconds, epochs=_EPOCHS, seed=seed)
    with TemporaryDirectory() as folder:
        return train_on_periodicities(
            part(~is_valid),
            part(is_valid),
            folder,
            labels=labels,
            settings=settings,
            feature=FEATURE,
        ).model


def answering(system: DeSPerF) -> Answers:
    """Make a function that answers features [item, lag] with labels."""

    def answers(features: Tensor) -> list[str]:
        with torch.no_grad():
            numbers = system.decisions(features).argmax(-1)
        return [system.output_names[number] for number in numbers.tolist()]

    return answers


def interrogated(
    answers: Answers, tested: HeardDances, sizes: DanceSizes, *, seed: int
) -> InterrogationResult:
    """Interrogate a system on the clips at all doses of tempo, and at their placebos."""
    tempo = StretchedTempo(max(sizes.doses, key=abs), available=(0, *sizes.doses))
    interrogation = Interrogation(
        answers,
        tested.features["periodicity"],
        tested.style.tolist(),
        groups=tested.artist.tolist(),
        confound=tested.tempo_bpm,
        settings=InterrogationSettings(seed=seed),
    )
    return interrogation.run([tempo], doses={StretchedTempo.name: sizes.doses})


def summary(result: InterrogationResult) -> dict[str, Any]:
    """Return the numbers of an interrogation that tables and figures need."""
    (curve,), (search,) = result.curves, result.searches
    back = max(curve.placebo, key=lambda point: abs(point.change.value))
    return {
        "unchanged": result.baseline,
        "worst dose": curve.worst.dose,
        "worst": curve.worst.score,
        "change": curve.worst.change,
        "moved": curve.worst.moved,
        "placebo, worst": back.score,
        "placebo, moved": back.moved,
        "inflated": search.inflated,
        "deflated": search.deflated,
        "by placebo, inflated": search.control_inflated,
        "by placebo, deflated": search.control_deflated,
        "reachable": search.reachable,
        "curve": [{"dose": point.dose, "score": point.score} for point in curve.points],
        "placebo": [{"dose": point.dose, "score": point.score} for point in curve.placebo],
        "verdict": result.verdict.kind,
    }


def baselines(tested: HeardDances, *, seed: int) -> dict[str, Interval]:
    """Score tempo alone and timbre alone: nine nearest neighbours, on other artists."""
    labels, artists = tested.style.tolist(), tested.artist.tolist()
    scores = GroupBootstrap(labels, artists, seed=seed)
    confounds = {"tempo": tested.tempo_bpm, "timbre": tested.features["timbre"][:, 0].numpy()}
    return {
        name: scores.estimate(confound_only(confound, labels, artists, seed=seed))
        for name, confound in confounds.items()
    }


def over_seeds(
    values: Sequence[float],
    *,
    level: float = 0.95,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
) -> Interval:
    """Compute mean and Student's interval of the results of several trainings.

    Of one training there are no bounds: they are NaN. ``bounds`` are the least and the greatest
    possible value.
    """
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, float("nan"), float("nan"), level)
    half = float(t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1))
    half /= len(values) ** 0.5
    return Interval(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]), level)


def seeds_text(values: Sequence[float], *, bounds: tuple[float, float] = (0.0, 1.0)) -> str:
    """Write the mean over trainings of a number with its interval, within its possible values."""
    return with_bounds(over_seeds(values, bounds=bounds))
