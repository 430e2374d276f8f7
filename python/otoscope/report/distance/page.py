"""The page of a distance between real and generated sounds: measures, files, sides, cautions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup

from otoscope.metrics import Extrapolation, Interval
from otoscope.records import to_json
from otoscope.report.methods.bibliography import Methods, methods
from otoscope.report.numbers import UNKNOWN, significant
from otoscope.report.pages import Fact, in_script, save_page, version_facts

__all__ = ["DistanceContent", "FileRow", "Measure", "Side", "distance_sentence", "save_distance"]

_NAMES = {"frechet": "Fréchet distance", "kernel": "Kernel distance", "all": "Fréchet distance"}
_MEANINGS = {
    "frechet": "0 for equal means and covariances; too large for few excerpts",
    "kernel": (
        "near 0, or below, for sets that cannot be told apart; no bias if excerpts are independent"
    ),
}


@dataclass(frozen=True)
class Measure:
    """One of the measures that papers cite.

    Parameters
    ----------
    name : str
        Short name, such as "KAD".
    meaning : str
        What it is, in words.
    value : float, optional
        Value; None if it cannot be computed.
    low, high : float, optional
        Bounds of the 95 % interval over files, if there are any.
    reason : str
        Reason why value or interval is missing.
    """

    name: str
    meaning: str
    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class FileRow:
    """A generated file by itself; a distance is None if it has none."""

    name: str
    n: int
    distances: tuple[float | None, ...]


@dataclass(frozen=True)
class Side:
    """One of the two sets: where it is, how much of it was measured, what was skipped and why."""

    name: str
    n_files: int | None
    n: int | None
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DistanceContent:
    """A distance as its page shows it.

    Parameters
    ----------
    metric : {"frechet", "kernel", "all"}
        What was measured.
    value : float
        The distance.
    real, generated : Side
        The two sets.
    features : str
        Model and layer, or embedding, in words.
    interval : Interval, optional
        95 % interval of the distance.
    infinity : Extrapolation, optional
        Distances of growing numbers of excerpts.
    measures : sequence of Measure
        All measures, if these were measured.
    files : sequence of FileRow
        Generated files, the furthest first.
    notes : sequence of str
        Reasons for caution.
    record : Mapping
        Everything as JSON, to download.
    """

    metric: Literal["frechet", "kernel", "all"]
    value: float
    real: Side
    generated: Side
    features: str
    interval: Interval | None = None
    infinity: Extrapolation | None = None
    measures: Sequence[Measure] = ()
    files: Sequence[FileRow] = ()
    notes: Sequence[str] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


def distance_sentence(content: DistanceContent) -> str:
    """Say the distance, its interval and its extrapolation.

    Examples
    --------
    >>> side = Side("songs", 4, 40)
    >>> interval = Interval(3.2, 2.75, 4.5, 0.95)
    >>> distance_sentence(DistanceContent("frechet", 3.2, side, side, "", interval))
    'Fréchet distance 3.2, 95 % interval of sets of this size 2.75 to 4.5'
    """
    words = [f"{_NAMES[content.metric]} {significant(content.value)}"]
    if it := content.interval:
        of = "" if content.metric == "kernel" else " of sets of this size"
        bounds = f"{significant(it.low)} to {significant(it.high)}"
        words.append(f"{it.level:.0%} interval{of} {bounds}")
    if content.infinity:
        words.append(
            f"extrapolated to infinitely many excerpts {significant(content.infinity.value)}"
        )
    return ", ".join(words).replace("95%", "95 %")


def save_distance(content: DistanceContent, path: str | os.PathLike[str]) -> None:
    """Write a distance as one HTML file that needs no network.

    Parameters
    ----------
    content : DistanceContent
        What to show; texts are escaped.
    path : str or PathLike
        HTML file to write, whole or not at all.

    Raises
    ------
    ParameterError
        If ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> side = Side("songs", 4, 40)
    >>> content = DistanceContent("kernel", 0.25, side, side, "synth-singing, layer fc8")
    >>> save_distance(content, os.path.join(tempfile.mkdtemp(), "distance.html"))
    """
    sides = {"Real": content.real, "Generated": content.generated}
    furthest = max((row.distances[0] or 0 for row in content.files), default=0) or 1
    page = _DistancePage(
        title=f"How far is {content.generated.name} from {content.real.name}?",
        about=content.features,
        sentence=f"{distance_sentence(content)}.",
        cautions=tuple(_capital(f"{note}.", content) for note in content.notes),
        measures=tuple(
            (
                row.name,
                UNKNOWN if row.value is None else significant(row.value),
                _bounds(row),
                "; ".join(filter(None, (row.meaning, row.reason))),
            )
            for row in content.measures
        ),
        columns=("FAD", "KAD") if content.metric == "all" else ("Distance",),
        files=tuple(
            _ShownFile(
                row.name,
                f"{row.n:,}",
                tuple(UNKNOWN if d is None else significant(d) for d in row.distances),
                100 * max(row.distances[0] or 0, 0) / furthest,
            )
            for row in content.files
        ),
        sizes=_sizes(content.infinity),
        skipped=tuple(
            f"{name.lower()}: {file}: {reason}"
            for name, side in sides.items()
            for file, reason in side.skipped.items()
        ),
        facts=(
            *(Fact(name, side.name, _size(side)) for name, side in sides.items()),
            Fact("Features", content.features),
            *(
                Fact(_NAMES[content.metric], significant(content.value), meaning)
                for metric, meaning in _MEANINGS.items()
                if metric == content.metric
            ),
            *version_facts(),
        ),
        json=in_script(to_json(content.record)),
    )
    save_page(page, "distance.html", path, methods=_methods(content))


def _methods(content: DistanceContent) -> Methods:
    """Describe the sets, the distances, and what they were taken of."""
    sets = []
    for side in (content.generated, content.real):
        sets.append(f"{side.name} ({_size(side)})" if _size(side) else side.name)
    distances = {
        "frechet": "Fréchet distance [@heusel2017; @kilgour2019]",
        "kernel": "kernel distance [@binkowski2018; @chung2025]",
    }
    kinds = [name for kind, name in distances.items() if content.metric in (kind, "all")]
    text = f"{' and '.join(sets)} were compared by the {' and the '.join(kinds)}"
    if content.metric == "all":
        text += f", and by these measures: {', '.join(row.name for row in content.measures)},"
    return methods(f"{text} between features ({content.features}).")


@dataclass(frozen=True)
class _ShownFile:
    """A row of the table of files; ``percent`` is the length of its bar."""

    name: str
    n: str
    distances: tuple[str, ...]
    percent: float


@dataclass(frozen=True)
class _DistancePage:
    """Everything that the page shows, as strings and numbers ready to print."""

    title: str
    about: str
    sentence: str
    cautions: tuple[str, ...]
    measures: tuple[tuple[str, str, str, str], ...]
    columns: tuple[str, ...]
    files: tuple[_ShownFile, ...]
    sizes: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]
    facts: tuple[Fact, ...]
    json: Markup


def _capital(note: str, content: DistanceContent) -> str:
    """Begin a sentence with a capital, unless it begins with the name of a side."""
    is_name = note.startswith((content.real.name, content.generated.name))
    return note if is_name else note[:1].upper() + note[1:]


def _bounds(row: Measure) -> str:
    if row.low is None or row.high is None:
        return UNKNOWN
    return f"{significant(row.low)} to {significant(row.high)}"


def _size(side: Side) -> str:
    counts = ((side.n_files, "file"), (side.n, "excerpt"))
    known = [f"{n:,} {word}{'' if n == 1 else 's'}" for n, word in counts if n is not None]
    return ", ".join(known)


def _sizes(infinity: Extrapolation | None) -> tuple[tuple[str, str], ...]:
    """Lay out the distances of growing numbers of excerpts, and the extrapolated one."""
    if infinity is None:
        return ()
    pairs = zip(infinity.sizes.tolist(), infinity.distances.tolist(), strict=True)
    rows = [(f"{n:,}", significant(distance)) for n, distance in pairs]
    return (*rows, ("∞", significant(infinity.value)))
