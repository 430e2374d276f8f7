"""The Frechet distance between two folders of sounds, in a layer of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.metrics import statistics
from otoscope.metrics.gaussian import distance
from otoscope.progress import Progress
from otoscope.workflows._features import FeatureSettings, SoundFeatures, comparable, differences
from otoscope.workflows.stats import Measured, measure

__all__ = ["MeasuredDistance", "measure_distance"]


@dataclass(frozen=True, eq=False)
class MeasuredDistance:
    """The distance of two sides.

    Parameters
    ----------
    distance : float
        Frechet, >= 0.
    real, generated : Measured
        The sides.

    Examples
    --------
    >>> measure_distance(a, b, settings).distance  # doctest: +SKIP
    3.21
    """

    distance: float
    real: Measured
    generated: Measured

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known before trusting the number."""
        told = [*self.real.notes, *self.generated.notes]
        for side in (self.real, self.generated):
            if not side.features:
                told.append(
                    f"{side.path} does not say which model and layer it is of; the distance means "
                    "something only if they are the same"
                )
        here, there = (s.statistics.settings.get("versions") for s in (self.real, self.generated))
        if here and there and here != there:
            told.append(f"the sides were measured by other versions: {differences(here, there)}")
        return tuple(told)

    def to_record(self) -> dict[str, Any]:
        """Say what was found, in JSON's types.

        Returns
        -------
        dict
            ``distance``, ``columns``, ``features`` (the settings), for both sides their ``path``,
            ``n`` excerpts, ``files`` and ``skipped``; ``notes`` and ``versions``.

        Examples
        --------
        >>> measured.to_record()["real"]["n"]  # doctest: +SKIP
        240
        """
        sides = {
            name: {
                "path": str(side.path),
                "n": side.statistics.count,
                "files": side.n_files,
                "skipped": {name: str(reason) for name, reason in side.skipped.items()},
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
    settings: FeatureSettings,
    *,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> MeasuredDistance:
    """Find the Frechet distance between two folders of sounds.

    Parameters
    ----------
    real, generated : Path
        Folders, files of sound, or statistics (.npz).
    settings : FeatureSettings
        Which features. Without a model, those of the statistics; without a layer or hop of the
        same model, also theirs.
    keep : Path, optional
        Folder for the statistics of folders: there they are found again, whole or begun.
    progress : callable, optional
        Goes over "real files" and "generated files".

    Returns
    -------
    MeasuredDistance
        With what must be known of it.

    Raises
    ------
    ParameterError
        If a side cannot be measured, is a point, or the two are of different features.

    Examples
    --------
    >>> settings = FeatureSettings("musicnn-mtt")
    >>> measure_distance(Path("real"), Path("made"), settings)  # doctest: +SKIP
    """
    loaded = [_loaded(path, settings) for path in (real, generated)]
    sides = [side for side in loaded if side]
    if None in loaded:
        about = next((side.features for side in sides if side.features), {})
        features = SoundFeatures(_completed(settings, about))
        if about and (found := differences(about, features.about)):
            raise ParameterError(f"the statistics are of other features ({found})")
        sides = [
            side
            or measure(
                path,
                features,
                keep and _kept(keep, path, features.about),
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
    return MeasuredDistance(float(distance(*normals)), *sides)


def _loaded(path: Path, settings: FeatureSettings) -> Measured | None:
    """Statistics from a file, of the model and layer asked for; None for sounds."""
    if path.suffix != ".npz":
        return None
    side = Measured(path, statistics.load(path))
    for name in ("model", "layer"):
        asked = getattr(settings, name)
        if side.features and asked and asked != side.features[name]:
            raise ParameterError(
                f"{path} holds features of {name} {side.features[name]}, not {asked}"
            )
    return side


def _kept(keep: Path, path: Path, about: Mapping[str, Any]) -> Path:
    """Where a folder's statistics are kept: another place for other settings."""
    keep.mkdir(parents=True, exist_ok=True)
    key = json.dumps([str(path.resolve()), comparable(about)], sort_keys=True)
    return keep / f"{path.resolve().name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"


def _completed(settings: FeatureSettings, told: Mapping[str, Any]) -> FeatureSettings:
    """The settings asked for, and for the rest those of the other side."""
    if not told or settings.model not in (None, told["model"]):
        return settings
    hop = told["hop_frames"] * told["hop_length"] / told["sample_rate"]
    return replace(
        settings,
        model=told["model"],
        layer=settings.layer or told["layer"],
        hop=settings.hop or hop,
        channel_axis=settings.channel_axis or told["channel_axis"],
        padded=settings.padded or told["padded"],
    )


def _require_spread(*sides: Measured) -> None:
    for side in sides:
        if not float(side.statistics.covariance.diagonal().sum()) > 0:
            raise ParameterError(
                f"{side.path}: all {side.statistics.count} excerpts have the same features "
                "(zero variance): silence, or copies of one sound"
            )


def _require_alike(first: Measured, second: Measured) -> None:
    here, there = first.features, second.features
    if here and there and (found := differences(here, there)):
        raise ParameterError(
            f"{first.path} and {second.path} are of different features ({found}); "
            "measure one of them again"
        )
    columns = [len(side.statistics.mean) for side in (first, second)]
    if columns[0] != columns[1]:
        raise ParameterError(
            f"{first.path} has {columns[0]} columns, {second.path} has {columns[1]}; "
            "distances are between features of the same width"
        )
