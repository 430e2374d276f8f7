"""Measure the distance between two folders of sounds, in a layer of a model."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from otoscope import records
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.metrics import (
    Extrapolation,
    FeatureSet,
    FewRows,
    Interval,
    frechet_infinity,
    frechet_interval,
    kernel_distance,
    kernel_interval,
)
from otoscope.metrics.gaussian import distance
from otoscope.metrics.kernel import KernelSums
from otoscope.models import zoo
from otoscope.progress import Progress, silent
from otoscope.workflows.features import FeatureConfig, SoundFeatures, comparable, differences
from otoscope.workflows.stats import StatsResult, load_statistics, measure

__all__ = ["DistanceConfig", "DistanceResult", "FileDistance", "measure_distance"]


@dataclass(frozen=True)
class DistanceConfig:
    """What is measured between two sets of features.

    Parameters
    ----------
    metric : {"frechet", "kernel"}
        Fréchet distance of normal distributions, or kernel distance (KID): it has no bias for few
        excerpts, and another scale.
    infinity : bool
        Extrapolate the Fréchet distance to infinitely many generated excerpts.
    interval : bool
        Bootstrap a 95 % confidence interval, drawing whole files.
    per_file : bool
        Measure each generated file by itself, and rank the files.
    seed : int
        Random seed of the bootstrap and of the extrapolation.

    Examples
    --------
    >>> DistanceConfig(interval=True).needs_rows
    True
    """

    metric: str = "frechet"
    infinity: bool = False
    interval: bool = False
    per_file: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metric not in ("frechet", "kernel"):
            raise ParameterError(f"metric is {self.metric!r}, must be frechet or kernel")
        if self.metric == "kernel" and self.infinity:
            raise ParameterError(
                "the kernel distance is not biased: there is nothing to extrapolate",
                advice=Advice("leave out ", Argument("infinity", True)),
            )

    @property
    def needs_rows(self) -> bool:
        """Whether mean and covariance are not enough: the features of excerpts are needed."""
        return self.metric == "kernel" or self.infinity or self.interval or self.per_file


@dataclass(frozen=True)
class FileDistance:
    """Distance of a generated file by itself from all real sounds.

    Parameters
    ----------
    file : str
        Name of the file in its folder.
    n : int
        Number of excerpts.
    distance : float, optional
        Distance; None of a single excerpt, which has no covariance and no pairs.
    """

    file: str
    n: int
    distance: float | None


@dataclass(frozen=True, eq=False)
class DistanceResult:
    """Distance between real and generated sounds.

    Parameters
    ----------
    distance : float
        Fréchet distance, >= 0, or kernel distance.
    real, generated : StatsResult
        Statistics of the two sets.
    config : DistanceConfig
        What was measured.
    interval : Interval, optional
        Confidence interval of the distance.
    infinity : Extrapolation, optional
        Distances of growing numbers of generated excerpts; its value is the extrapolated distance.
    files : tuple of FileDistance
        Generated files, the furthest first.

    Examples
    --------
    >>> measure_distance(a, b, config).distance  # doctest: +SKIP
    3.21
    """

    distance: float
    real: StatsResult
    generated: StatsResult
    config: DistanceConfig = field(default_factory=DistanceConfig)
    interval: Interval | None = None
    infinity: Extrapolation | None = None
    files: tuple[FileDistance, ...] = ()

    @property
    def is_of_few(self) -> bool:
        """Whether a Fréchet distance is far too large, since there are few excerpts."""
        is_frechet = self.config.metric == "frechet"
        return is_frechet and bool(self.real.few_rows or self.generated.few_rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for caution with the distance."""
        sides = (self.real, self.generated)
        notes = [note for side in sides for note in side.notes]
        if self.is_of_few:
            notes += [side.few_rows for side in sides if side.few_rows]
        if self.config.per_file and self.config.metric == "frechet" and self.files:
            fewest, columns = min(file.n for file in self.files), len(self.real.statistics.mean)
            if fewest <= columns:
                notes.append(
                    f"files have as few as {fewest} excerpts of {columns} columns: their distances "
                    "rank files of equal length, and are no distances of the whole"
                )
        if self.interval and self.real.statistics.rows is None:
            notes.append(f"{self.real.path} is taken as exact in the interval: it has no features")
        for side in sides:
            if not side.features:
                notes.append(
                    f"{side.path} does not say which model and layer it is of; the distance means "
                    "something only if they are the same"
                )
        here, there = (s.statistics.settings.get("versions") for s in (self.real, self.generated))
        if here and there and here != there:
            notes.append(f"the sides were measured by other versions: {differences(here, there)}")
        codes = {s.statistics.settings.get("code", "") for s in (self.real, self.generated)}
        if self.real.features and self.generated.features and len(codes) > 1:
            notes.append(
                "the sides were measured by models of the same weights and different code; the "
                "distance means something only if both codes compute the same"
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON's types: distances, settings of the features, both sides, notes."""
        sides = {
            name: {
                "path": str(side.path),
                "n": side.statistics.count,
                "files": side.n_files,
                "skipped": {name: str(reason) for name, reason in side.skipped.items()},
                "truncated": side.truncated,
            }
            for name, side in (("real", self.real), ("generated", self.generated))
        }
        return {
            "distance": self.distance,
            "metric": self.config.metric,
            "interval": self.interval,
            "infinity": self.infinity,
            "per_file": self.files if self.config.per_file else None,
            "seed": self.config.seed,
            "columns": len(self.real.statistics.mean),
            "features": self.real.features or self.generated.features,
            **sides,
            "notes": self.notes,
            "versions": records.versions(),
        }


def measure_distance(
    real: Path,
    generated: Path,
    config: FeatureConfig,
    measures: DistanceConfig | None = None,
    *,
    keep: Path | None = None,
    progress: Progress = silent,
) -> DistanceResult:
    """Measure the distance between two folders of sounds.

    Parameters
    ----------
    real, generated : Path
        Folders, sound files, or statistics (.npz).
    config : FeatureConfig
        Model, layer and excerpts. A missing model, if it is one of the zoo, and a missing layer or
        hop of the same model, are taken from the statistics.
    measures : DistanceConfig, optional
        Metric, interval, extrapolation, distances of files. By default the Fréchet distance.
    keep : Path, optional
        Folder for the statistics of folders: another run reads them there, or resumes.
    progress : bool or callable
        True shows bars over "real files" and "generated files", and of the bootstrap.

    Returns
    -------
    DistanceResult
        Distance, statistics of both sides, and notes.

    Raises
    ------
    ParameterError
        If a side cannot be measured or has zero variance, the features differ, or statistics lack
        the features of excerpts that the measures need.

    Examples
    --------
    >>> config = FeatureConfig("musicnn-mtt")
    >>> measure_distance(Path("real"), Path("made"), config)  # doctest: +SKIP
    """
    measures = measures or DistanceConfig()
    loaded = [_loaded(path, config) for path in (real, generated)]
    for side, is_generated in zip(loaded, (False, True), strict=True):
        if side and (measures.metric == "kernel" or (is_generated and measures.needs_rows)):
            side.rows()  # before any work
    sides = [side for side in loaded if side]
    if None in loaded:
        about = next((side.features for side in sides if side.features), {})
        features = SoundFeatures(_completed(config, about), keep_rows=measures.needs_rows)
        if about and (changes := differences(about, features.about)):
            raise ParameterError(f"the statistics are of other features ({changes})")
        sides = [
            side
            or measure(
                path,
                features,
                keep and _statistics_file(keep, path, features),
                name=f"{name} files",
                progress=progress,
            )
            for side, path, name in zip(
                loaded, (real, generated), ("real", "generated"), strict=True
            )
        ]
    _require_alike(*sides)
    _require_spread(*sides)
    return _measured(sides[0], sides[1], measures, progress)


def _measured(
    real: StatsResult, generated: StatsResult, config: DistanceConfig, progress: Progress
) -> DistanceResult:
    """Measure what the config asks for; the features that it needs are there."""
    songs = real.song_of_row(), generated.song_of_row()
    interval, infinity = None, None
    if config.metric == "kernel":
        x, y = real.rows(), generated.rows()
        value = float(kernel_distance(x, y))
        if config.interval:
            interval = kernel_interval(x, y, groups=songs, seed=config.seed)
    else:
        value = float(distance(real.statistics.normal(), generated.statistics.normal()))
        has_rows = real.statistics.rows is not None
        reference = real.rows() if has_rows else real.statistics
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewRows)  # it is in the notes
            if config.interval:
                interval = frechet_interval(
                    reference,
                    generated.rows(),
                    groups=(songs[0] if has_rows else None, songs[1]),
                    seed=config.seed,
                    progress=progress,
                )
            if config.infinity:
                infinity = frechet_infinity(
                    reference, generated.rows(), seed=config.seed, progress=progress
                )
    files = _of_files(real, generated, config) if config.per_file else ()
    return DistanceResult(value, real, generated, config, interval, infinity, files)


def _of_files(
    real: StatsResult, generated: StatsResult, config: DistanceConfig
) -> tuple[FileDistance, ...]:
    """Measure each generated file by itself, the furthest first."""
    counts, songs = generated.excerpts, generated.song_of_row()
    if songs is None:
        raise ParameterError(f"{generated.path} does not say which excerpts are of which file")
    names = [name for name, n in counts.items() if n]
    rows = generated.rows()
    if config.metric == "kernel":
        sums = KernelSums.of(real.rows(), rows, groups=(None, songs))
        alone = torch.eye(len(names), dtype=torch.float64)
        distances = sums.distances(torch.ones(len(names), 1, dtype=torch.float64), alone).tolist()
    else:
        normal = real.statistics.normal()
        distances = [
            float(distance(normal, FeatureSet.of(part).normal())) if len(part) > 1 else math.nan
            for part in rows.split([counts[name] for name in names])
        ]
    files = [
        FileDistance(name, counts[name], None if math.isnan(value) else value)
        for name, value in zip(names, distances, strict=True)
    ]
    return tuple(sorted(files, key=lambda it: -math.inf if it.distance is None else it.distance))[
        ::-1
    ]


def _loaded(path: Path, config: FeatureConfig) -> StatsResult | None:
    """Load statistics and check their model and layer; return None for sounds."""
    if path.suffix != ".npz":
        return None
    side = StatsResult(path, load_statistics(path))
    for name in ("model", "layer"):
        value = getattr(config, name)
        if side.features and value and value != side.features[name]:
            raise ParameterError(
                f"{path} holds features of {name} {side.features[name]}, not {value}"
            )
    return side


def _statistics_file(keep: Path, path: Path, features: SoundFeatures) -> Path:
    """Name the file of a folder's statistics: the digest depends on settings and model.

    A file with features serves runs that need none, too.
    """
    keep.mkdir(parents=True, exist_ok=True)
    ingredients = [str(path.resolve()), comparable(features.about), features.code]
    key = json.dumps(ingredients, sort_keys=True)
    stem = f"{path.resolve().name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    with_rows = keep / f"{stem}-rows.npz"
    return with_rows if features.keep_rows or with_rows.exists() else keep / f"{stem}.npz"


def _completed(config: FeatureConfig, features: Mapping[str, Any]) -> FeatureConfig:
    """Fill settings that are missing with those of the other side.

    Only a model of the zoo is taken from a file: anything else would run what the file names.
    """
    if not features or config.model not in (None, features["model"]):
        return config
    if config.model is None and features["model"] not in zoo.CATALOGUE:
        raise ParameterError(
            f"the statistics are of model {features['model']}, which is not in the zoo, and a file "
            "decides on no code that is run",
            advice=Advice("if you trust it, name it: ", Argument("model", features["model"])),
        )
    hop = features["hop_frames"] * features["hop_length"] / features["sample_rate"]
    return replace(
        config,
        model=features["model"],
        layer=config.layer or features["layer"],
        hop=config.hop or hop,
        channel_axis=config.channel_axis or features["channel_axis"],
        padded=config.padded or features["padded"],
    )


def _require_spread(*sides: StatsResult) -> None:
    for side in sides:
        if not float(side.statistics.covariance.diagonal().sum()) > 0:
            raise ParameterError(
                f"{side.path}: all {side.statistics.count} excerpts have the same features "
                "(zero variance): silence, or copies of one sound"
            )


def _require_alike(first: StatsResult, second: StatsResult) -> None:
    here, there = first.features, second.features
    if here and there and (changes := differences(here, there)):
        raise ParameterError(
            f"{first.path} and {second.path} are of different features ({changes}); "
            "measure one of them again"
        )
    columns = [len(side.statistics.mean) for side in (first, second)]
    if columns[0] != columns[1]:
        raise ParameterError(
            f"{first.path} has {columns[0]} columns, {second.path} has {columns[1]}; "
            "distances are between features of the same width"
        )
