"""Measure the distance between two folders of sounds, in a layer of a model."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, Ignored, ParameterError, refuse_ignored
from otoscope.metrics import (
    FeatureSet,
    FewRows,
    frechet_infinity,
    frechet_interval,
    kernel_distance,
    kernel_interval,
    median_distance,
)
from otoscope.metrics.gaussian import distance
from otoscope.metrics.kernel import Gaussian, KernelSums, Polynomial
from otoscope.metrics.kernel_audio import KAD_SCALE
from otoscope.models import zoo
from otoscope.progress import Progress, silent
from otoscope.report.distance.page import Measure
from otoscope.workflows.distance_result import (
    DistanceConfig,
    DistanceResult,
    FileDistance,
)
from otoscope.workflows.embeddings import has_embeddings, load_embedded, read_embeddings
from otoscope.workflows.features import FeatureConfig, SoundFeatures, comparable, differences
from otoscope.workflows.measures import cited_measures, why_no_interval
from otoscope.workflows.stats import StatsResult, load_statistics, measure

__all__ = ["measure_distance"]


def measure_distance(
    real: Path,
    generated: Path,
    config: FeatureConfig,
    measures: DistanceConfig | None = None,
    *,
    keep: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> DistanceResult:
    """Measure the distance between two folders of sounds.

    Parameters
    ----------
    real, generated : Path
        Folders, sound files, statistics (.npz), or folders of embeddings (.npy).
    config : FeatureConfig
        Model, layer and excerpts. A missing model, if it is one of the zoo, and a missing layer or
        hop of the same model, are taken from the statistics.
    measures : DistanceConfig, optional
        Metric, interval, extrapolation, distances of files. By default the Fréchet distance.
    keep : Path, optional
        Folder for the statistics of folders: another run reads them there, or resumes.
    workers : int, optional
        Number of processes that share the files, see `pool.mapped`: the result is the same for
        any number. The file of a process that was killed is skipped, and measured by the next run.
    progress : bool or callable
        True shows bars over "real files" and "generated files", and of intervals.

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
    named = (("real", real), ("generated", generated))
    loaded = [_loaded(path, config, measures, name, progress) for name, path in named]
    if None not in loaded:
        _check_options(loaded, config, keep)
    for side, is_generated in zip(loaded, (False, True), strict=True):
        if side and measures.requires_rows(is_generated=is_generated):
            side.rows()  # before any work
    sides = [side for side in loaded if side]
    if None in loaded:
        _refuse_mixed(loaded)
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
                workers=workers,
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
    has_rows = real.statistics.rows is not None
    drawn = songs if has_rows else (None, songs[1])
    counts = (None if side is None else len(side.unique()) for side in drawn)
    lack = why_no_interval(*counts) if config.interval else ""
    has_interval = config.interval and not lack
    cited: tuple[Measure, ...] = ()
    if config.metric == "all":
        cited = cited_measures(
            real, generated, interval=config.interval, seed=config.seed, progress=progress
        )
        value = cited[0].value or 0.0
    elif config.metric == "kernel":
        x, y = real.rows(), generated.rows()
        value = float(kernel_distance(x, y))
        if has_interval:
            interval = kernel_interval(x, y, groups=songs, seed=config.seed)
    else:
        value = float(distance(real.statistics.normal(), generated.statistics.normal()))
        reference = real.rows() if has_rows else real.statistics
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewRows)  # it is in the notes
            if has_interval:
                interval = frechet_interval(
                    reference,
                    generated.rows(),
                    groups=drawn,
                    seed=config.seed,
                    progress=progress,
                )
            if config.infinity:
                infinity = frechet_infinity(
                    reference, generated.rows(), seed=config.seed, progress=progress
                )
    files = _of_files(real, generated, config) if config.per_file else ()
    lack *= config.metric != "all"  # whose measures say it themselves
    return DistanceResult(value, real, generated, config, interval, infinity, files, cited, lack)


def _of_files(
    real: StatsResult, generated: StatsResult, config: DistanceConfig
) -> tuple[FileDistance, ...]:
    """Measure each generated file by itself, the furthest first."""
    counts, songs = generated.excerpts, generated.song_of_row()
    if songs is None:
        raise ParameterError(f"{generated.path} does not say which excerpts are of which file")
    names = [name for name, n in counts.items() if n]
    rows = generated.rows()

    def by_kernel(kernel: Polynomial | Gaussian) -> Tensor:
        sums = KernelSums.of(real.rows(), rows, kernel, groups=(None, songs))
        alone = torch.eye(len(names), dtype=torch.float64)
        return sums.distances(torch.ones(len(names), 1, dtype=torch.float64), alone)

    audio = torch.full((len(names),), math.nan)
    if config.metric == "all" and real.statistics.rows is not None:
        audio = KAD_SCALE * by_kernel(Gaussian(median_distance(real.rows())))
    if config.metric == "kernel":
        distances = by_kernel(Polynomial()).tolist()
    else:
        normal = real.statistics.normal()
        distances = [
            float(distance(normal, FeatureSet.of(part).normal())) if len(part) > 1 else math.nan
            for part in rows.split([counts[name] for name in names])
        ]
    files = [
        FileDistance(name, counts[name], *(None if math.isnan(x) else x for x in values))
        for name, *values in zip(names, distances, audio.tolist(), strict=True)
    ]
    return tuple(sorted(files, key=lambda it: -math.inf if it.distance is None else it.distance))[
        ::-1
    ]


def _loaded(
    path: Path, config: FeatureConfig, measures: DistanceConfig, side_name: str, progress: Progress
) -> StatsResult | None:
    """Load embeddings, or statistics and check their model and layer; return None for sounds."""
    how: dict[str, Any] = {"keep_rows": measures.needs_rows, "name": f"{side_name} files"}
    if measures.embedding is not None:
        return load_embedded(path, measures.embedding, **how, progress=progress)
    if path.suffix != ".npz":
        is_embedded = has_embeddings(path)
        return read_embeddings(path, **how, progress=progress) if is_embedded else None
    side = StatsResult(path, load_statistics(path))
    for name in ("model", "layer"):
        value = getattr(config, name)
        if side.features and value and value != side.features[name]:
            raise ParameterError(
                f"{path} holds features of {name} {side.features[name]}, not {value}"
            )
    return side


def _refuse_mixed(sides: Sequence[StatsResult | None]) -> None:
    """Refuse sounds beside embeddings of another tool, whose model is not run here."""
    for side in sides:
        if side and "embedding" in side.statistics.settings:
            raise ParameterError(
                f"{side.path} holds embeddings of another tool, and the other side is sounds",
                advice=Advice(
                    "compute embeddings of both, and name them with ",
                    Argument("embedding", "clap-laion-music"),
                ),
            )


def _check_options(
    sides: Sequence[StatsResult | None], config: FeatureConfig, keep: Path | None
) -> None:
    """Refuse settings of sounds where both sides are statistics."""
    is_embedded = any(side and "embedding" in side.statistics.settings for side in sides)
    kind = "embeddings" if is_embedded else "statistics"
    reason = f"and both sides are {kind}, which are not measured again"
    ignored = [Ignored(name, reason) for name in ("hop", "channel_axis", "padded")]
    if not any(side and side.features for side in sides):
        unknown = reason if is_embedded else "and neither side says what its features are of"
        ignored += [Ignored(name, unknown) for name in ("model", "layer")]
    refuse_ignored([config], ignored)
    if keep is not None:
        raise Ignored("keep", reason).error(keep)


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
    names = {side.embedding for side in (first, second) if side.embedding}
    if len(names) > 1:
        raise ParameterError(
            f"{first.path} and {second.path} are of different embeddings: {', '.join(names)}"
        )
    columns = [len(side.statistics.mean) for side in (first, second)]
    if columns[0] != columns[1]:
        raise ParameterError(
            f"{first.path} has {columns[0]} columns, {second.path} has {columns[1]}; "
            "distances are between features of the same width"
        )
