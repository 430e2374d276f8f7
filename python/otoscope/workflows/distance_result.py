"""Settings and result of a distance between two folders of sounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from otoscope import records
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.metrics import Extrapolation, Interval
from otoscope.report.distance.page import (
    DistanceContent,
    FileRow,
    Measure,
    Side,
    save_distance,
)
from otoscope.workflows.features import differences
from otoscope.workflows.stats import StatsResult

__all__ = [
    "METRICS",
    "DistanceConfig",
    "DistanceResult",
    "FileDistance",
    "features_text",
    "save_distance_page",
]

METRICS = ("frechet", "kernel", "all")
"""Names of the metrics; all is a table of everything that papers cite."""


@dataclass(frozen=True)
class DistanceConfig:
    """Say what to measure between two sets of features.

    Parameters
    ----------
    metric : {"frechet", "kernel", "all"}
        Fréchet distance of normal distributions; kernel distance (KID), which has no bias for few
        independent excerpts, and another scale; or all measures that papers cite, in one table:
        these two, the extrapolated Fréchet distance, KAD, MAD, precision, recall, density and
        coverage.
    infinity : bool
        Extrapolate the Fréchet distance to infinitely many generated excerpts.
    interval : bool
        Compute 95 % confidence intervals by random halves of the files, four or more of each side:
        of kernel distances between the distributions, of all else between sets of this size.
    per_file : bool
        Measure each generated file by itself, and rank the files.
    embedding : str, optional
        Embedding that fadtk or kadtk computed, to read instead of sounds: the name of a folder of
        .npy files in REAL/embeddings and GENERATED/embeddings, such as clap-laion-music.
    seed : int
        Random seed of halves, clusters and extrapolation.

    Examples
    --------
    >>> DistanceConfig(interval=True).needs_rows
    True
    """

    metric: str = "frechet"
    infinity: bool = False
    interval: bool = False
    per_file: bool = False
    embedding: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ParameterError(f"metric is {self.metric!r}, must be frechet, kernel or all")
        if self.metric == "all" and self.infinity:
            raise ParameterError(
                "all measures hold the extrapolated distance",
                advice=Advice("leave out ", Argument("infinity", True)),
            )
        if self.metric == "kernel" and self.infinity:
            raise ParameterError(
                "the kernel distance is not biased: there is nothing to extrapolate",
                advice=Advice("leave out ", Argument("infinity", True)),
            )

    @property
    def needs_rows(self) -> bool:
        """Whether mean and covariance are not enough: the features of excerpts are needed."""
        return self.metric != "frechet" or self.infinity or self.interval or self.per_file

    def requires_rows(self, *, is_generated: bool) -> bool:
        """Whether a side without the features of excerpts is refused, not listed with a reason."""
        if self.metric == "all":
            return is_generated and self.per_file
        return self.metric == "kernel" or (is_generated and self.needs_rows)


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
    kernel_audio : float, optional
        Kernel audio distance, where all measures are computed.
    """

    file: str
    n: int
    distance: float | None
    kernel_audio: float | None = None


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
    measures : tuple of Measure
        All measures, if these are what was asked for; ``distance`` is the first of them.
    lack : str
        Reason why there is no interval, where one was asked for.

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
    measures: tuple[Measure, ...] = ()
    lack: str = ""

    @property
    def is_of_few(self) -> bool:
        """Whether a Fréchet distance is far too large, since there are few excerpts."""
        return self.config.metric != "kernel" and bool(
            self.real.few_rows or self.generated.few_rows
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for caution with the distance."""
        sides = (self.real, self.generated)
        notes = [note for side in sides for note in side.notes]
        if self.is_of_few:
            notes += [side.few_rows for side in sides if side.few_rows]
        notes += self._files_of_one
        measured = [file.n for file in self.files if file.distance is not None]
        if self.config.metric != "kernel" and measured:
            fewest, columns = min(measured), len(self.real.statistics.mean)
            if fewest <= columns:
                notes.append(
                    f"files have as few as {fewest} excerpts of {columns} columns: their distances "
                    "rank files of equal length, and are no distances of the whole"
                )
        notes += filter(None, (self.lack, self.reach))
        if self.interval and self.real.statistics.rows is None:
            notes.append(f"{self.real.path} is taken as exact in the interval: it has no features")
        for side in sides:
            if not side.features and not side.embedding:
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
        notes += [self.comparison] if self.comparison else []
        return tuple(notes)

    @property
    def reach(self) -> str:
        """Say what the intervals hold; empty if there are none."""
        has_frechet = bool(self.interval) and self.config.metric == "frechet"
        has_kernel = bool(self.interval) and self.config.metric == "kernel"
        for it in self.measures:
            has_frechet |= it.low is not None and it.name == "FAD"
            has_kernel |= it.low is not None and it.name == "KID"
        words = []
        if has_frechet:
            others = " (so are those of MAD and of neighbours)" if self.measures else ""
            words.append(
                f"the interval of the Fréchet distance is of sets of this size{others}, with the "
                "bias of few files in it: it says how far other files would move the value, and "
                "is none of the distance between distributions; kernel distances have that"
            )
        if has_kernel:
            words.append(
                "intervals of kernel distances are of the distance between distributions: they "
                "leave out pairs of excerpts of one file, which make the value larger"
            )
        return "; ".join(words)

    @property
    def is_published(self) -> bool:
        """Whether papers give figures in this embedding, so that values may be compared."""
        return bool(self.real.embedding or self.generated.embedding)

    @property
    def comparison(self) -> str:
        """Say which other values these may be compared with; empty if the features are unknown."""
        if about := self.real.features or self.generated.features:
            name = about.get("name") or about["model"]
            return (
                f"values in {name} are not comparable with published figures, which are in VGGish, "
                "CLAP, MERT and the like: those need embeddings of fadtk or kadtk"
            )
        if embedding := self.real.embedding or self.generated.embedding:
            return (
                f"values in {embedding} may be compared with published figures of the same "
                "embedding, real set and number of rows"
            )
        return ""

    @property
    def _files_of_one(self) -> list[str]:
        """Say why files have no distance of their own, and how they get one."""
        n_alone = sum(file.distance is None for file in self.files)
        if not n_alone:
            return []
        lacks = "no pairs" if self.config.metric == "kernel" else "no covariance"
        about = self.generated.features
        of = "an excerpt"
        if about:
            of += f" ({about['excerpt_frames'] * about['hop_length'] / about['sample_rate']:.2f} s)"
        return [
            f"{n_alone} of {len(self.files)} files have one excerpt each, which has {lacks}, and "
            "so no distance of their own: a smaller hop gives more excerpts of files that "
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
            "measures": self.measures if self.config.metric == "all" else None,
            "seed": self.config.seed,
            "columns": len(self.real.statistics.mean),
            "features": self.real.features or self.generated.features,
            "embedding": self.real.embedding or self.generated.embedding or None,
            "comparable_with_published": self.is_published,
            **sides,
            "notes": self.notes,
            "versions": records.versions(),
        }

    @property
    def content(self) -> DistanceContent:
        """Collect what a page shows of it."""
        columns = 2 if self.measures else 1
        return DistanceContent(
            cast(Any, self.config.metric),
            self.distance,
            _side(self.real),
            _side(self.generated),
            self.about,
            self.interval,
            self.infinity,
            self.measures,
            [
                FileRow(file.file, file.n, (file.distance, file.kernel_audio)[:columns])
                for file in self.files
            ],
            self.notes,
            document("otoscope.Distance", 1, self.to_dict()),
        )

    @property
    def about(self) -> str:
        """Model and layer, or embedding, in words."""
        embedding = self.real.embedding or self.generated.embedding
        if embedding:
            return f"embedding {embedding}"
        return features_text(self.real.features or self.generated.features)


def save_distance_page(result: DistanceResult, page: Path) -> None:
    """Write the report page of a distance, completely or not at all.

    Parameters
    ----------
    result : DistanceResult
        Result of `measure_distance`.
    page : Path
        Path of the HTML file.

    Examples
    --------
    >>> save_distance_page(result, Path("distance.html"))  # doctest: +SKIP
    """
    save_distance(result.content, page)


def features_text(about: Mapping[str, Any]) -> str:
    """Name model, layer and excerpts of features."""
    if not about:
        return "neither side names its model and layer"
    rate = about["sample_rate"] / about["hop_length"]
    return (
        f"{about.get('name') or about['model']}, layer {about['layer']}: excerpts of "
        f"{about['excerpt_frames'] / rate:.2f} s every {about['hop_frames'] / rate:.2f} s"
    )


def _side(side: StatsResult) -> Side:
    skipped = {name: str(reason) for name, reason in side.skipped.items()}
    return Side(str(side.path), side.n_files, side.statistics.count, skipped)
