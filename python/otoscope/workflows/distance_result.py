"""Settings and result of a distance between two folders of sounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otoscope import records
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.metrics import Extrapolation, Interval
from otoscope.workflows.features import differences
from otoscope.workflows.stats import StatsResult

__all__ = ["DistanceConfig", "DistanceResult", "FileDistance"]


@dataclass(frozen=True)
class DistanceConfig:
    """Say what to measure between two sets of features.

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
        notes += self._files_of_one
        measured = [file.n for file in self.files if file.distance is not None]
        if self.config.metric == "frechet" and measured:
            fewest, columns = min(measured), len(self.real.statistics.mean)
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

    @property
    def _files_of_one(self) -> list[str]:
        """Say why files have no distance of their own, and how they get one."""
        n_alone = sum(file.distance is None for file in self.files)
        if not n_alone:
            return []
        lacks = "no covariance" if self.config.metric == "frechet" else "no pairs"
        about = self.generated.features
        of = "an excerpt"
        if about:
            of += f" ({about['excerpt_frames'] * about['hop_length'] / about['sample_rate']:.2f} s)"
        return [
            f"{n_alone} of {len(self.files)} files have one excerpt each, which has {lacks}, and "
            "so no distance of their own: a smaller hop (--hop) gives more excerpts of files that "
            f"are longer than {of}; others need longer sounds, or a model of shorter excerpts"
        ]

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
