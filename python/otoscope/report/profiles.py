"""Contributions of many excerpts, made comparable: by parts of the time, by bands, by segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.report.numbers import decimals, percent

__all__ = ["Array", "Features", "Profile", "features_of", "profile_of"]

_BINS = 10  # of an axis whose segments differ from excerpt to excerpt

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """Contributions by the parts of an axis: their heading, names, and values [excerpt, part]."""

    heading: str
    names: list[str]
    values: Array


@dataclass(frozen=True)
class Features:
    """Contributions that compare between excerpts, with levels where they are known."""

    names: list[str]
    values: Array  # [excerpt, feature]
    levels: Array | None


def _ends(row: Mapping[str, Any], axis: str) -> list[tuple[float, float]]:
    """Return the ends of the segments of an excerpt along an axis, fractions of its length."""
    length = max(extent[axis][1] for extent in row["extents"])
    return [(extent[axis][0] / length, extent[axis][1] / length) for extent in row["extents"]]


def profile_of(rows: Sequence[Mapping[str, Any]], measure: str, axis: str) -> Profile:
    """Divide contributions between the parts of an axis: its segments, or bins if they differ."""
    cuts = {tuple(sorted({end for pair in _ends(row, axis) for end in pair})) for row in rows}
    is_common = len(cuts) == 1
    edges = np.array(next(iter(cuts))) if is_common else np.linspace(0, 1, _BINS + 1)
    values = np.zeros((len(rows), len(edges) - 1))
    for row, profile in zip(rows, values, strict=True):
        for (low, high), value in zip(_ends(row, axis), row[measure], strict=True):
            overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
            profile += value * overlap.clip(min=0) / (high - low)
    names = [f"{percent(a)[:-2]}–{percent(b)}" for a, b in pairwise(edges.tolist())]
    if axis == "frames":
        durations = {row.get("duration") for row in rows}
        if len(durations) == 1 and (duration := durations.pop()):
            places = pairwise((duration * edges).tolist())
            names = [f"{decimals(a)}–{decimals(b)} s" for a, b in places]
        return Profile("By time from the start of the excerpt", names, values)
    hz = [tuple(tuple(extent["hz"] or ()) for extent in row["extents"]) for row in rows]
    bands = sorted({pair for pair in hz[0] if pair})
    if is_common and len(set(hz)) == 1 and len(bands) == len(names):
        names = [f"{low:.0f}–{high:.0f} Hz" for low, high in bands]
    return Profile("By band", names, values)


def features_of(
    rows: Sequence[Mapping[str, Any]], measure: str, profiles: Sequence[Profile]
) -> Features:
    """Take the segments themselves if all excerpts have the same, otherwise parts of the axes."""
    places = {tuple(zip(_ends(r, "frames"), _ends(r, "bands"), strict=True)) for r in rows}
    names = [str(extent["name"]) for extent in rows[0]["extents"]]
    if len(places) == 1:
        levels = [row.get("levels") for row in rows]
        known = np.array(levels, dtype=float) if all(levels) else None
        return Features(names, np.array([row[measure] for row in rows], dtype=float), known)
    cut = [profile for profile in profiles if len(profile.names) > 1] or list(profiles[:1])
    return Features(
        [name for profile in cut for name in profile.names],
        np.concatenate([profile.values for profile in cut], 1),
        None,
    )
