"""Measure the Fréchet distance between two folders of sounds, in a layer of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.metrics.gaussian import distance
from otoscope.models import zoo
from otoscope.progress import Progress, silent
from otoscope.workflows.features import FeatureConfig, SoundFeatures, comparable, differences
from otoscope.workflows.stats import StatsResult, load_statistics, measure

__all__ = ["DistanceResult", "measure_distance"]


@dataclass(frozen=True, eq=False)
class DistanceResult:
    """Fréchet distance between real and generated sounds.

    Parameters
    ----------
    distance : float
        Fréchet distance, >= 0.
    real, generated : StatsResult
        Statistics of the two sets.

    Examples
    --------
    >>> measure_distance(a, b, config).distance  # doctest: +SKIP
    3.21
    """

    distance: float
    real: StatsResult
    generated: StatsResult

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for caution with the distance."""
        notes = [*self.real.notes, *self.generated.notes]
        for side in (self.real, self.generated):
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
        """Convert to JSON's types: distance, settings of the features, both sides, notes."""
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
            "metric": "frechet",
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
    *,
    keep: Path | None = None,
    progress: Progress = silent,
) -> DistanceResult:
    """Measure the Fréchet distance between two folders of sounds.

    Parameters
    ----------
    real, generated : Path
        Folders, sound files, or statistics (.npz).
    config : FeatureConfig
        Model, layer and excerpts. A missing model, if it is one of the zoo, and a missing layer or
        hop of the same model, are taken from the statistics.
    keep : Path, optional
        Folder for the statistics of folders: another run reads them there, or resumes.
    progress : bool or callable
        True shows bars over "real files" and "generated files".

    Returns
    -------
    DistanceResult
        Distance, statistics of both sides, and notes.

    Raises
    ------
    ParameterError
        If a side cannot be measured or has zero variance, or if the features differ.

    Examples
    --------
    >>> config = FeatureConfig("musicnn-mtt")
    >>> measure_distance(Path("real"), Path("made"), config)  # doctest: +SKIP
    """
    loaded = [_loaded(path, config) for path in (real, generated)]
    sides = [side for side in loaded if side]
    if None in loaded:
        about = next((side.features for side in sides if side.features), {})
        features = SoundFeatures(_completed(config, about))
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
    normals = [side.statistics.normal() for side in sides]
    return DistanceResult(float(distance(*normals)), *sides)


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
    """Name the file of a folder's statistics: the digest depends on settings and model."""
    keep.mkdir(parents=True, exist_ok=True)
    ingredients = [str(path.resolve()), comparable(features.about), features.code]
    key = json.dumps(ingredients, sort_keys=True)
    return keep / f"{path.resolve().name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"


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
