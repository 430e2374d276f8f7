"""Criteria that rank contents: what other contents say, imputation, closeness, stability, truth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain.evaluation.faithfulness import faithfulness
from otoscope.explain.evaluation.stability import stability
from otoscope.explain.result import Explanation
from otoscope.explain.selection.ranking import Scores
from otoscope.explain.soundlime import SoundLIME
from otoscope.metrics import gaussian

__all__ = [
    "Feature",
    "OccludedFeatures",
    "closeness",
    "cross_faithfulness",
    "frechet",
    "occluded_features",
    "other_contents",
    "repeatability",
    "right_segments",
    "song_means",
]

Floats: TypeAlias = NDArray[np.float64]

Feature: TypeAlias = Callable[[Tensor], Tensor]
"""Function of a batch [batch, 1, frame, mel] that returns features [batch, column]."""

_COALITIONS = 4  # occluded versions of an excerpt, for the distances
_DRAWS = 32  # distances of that many draws at once


def cross_faithfulness(limes: Sequence[SoundLIME], explained: Sequence[Explanation]) -> Floats:
    """Measure each content's explanation of an excerpt by occluding with each content.

    Returns [content that explains, content that occludes]: the area below the insertion curve less
    that below the deletion curve.
    """
    n = len(limes)
    table = np.zeros((n, n))
    for j, (lime, judge) in enumerate(zip(limes, explained, strict=True)):
        for i, explanation in enumerate(explained):
            measures = faithfulness(lime, judge, explanation.coefficients, n_subsets=2)
            table[i, j] = measures.insertion_auc - measures.deletion_auc
    return table


def other_contents(tables: Floats) -> Scores:
    """Make scores of tables [song, explaining, occluding] in which no content judges itself.

    The cells off the diagonal are fitted by an effect of the content that explains and one of the
    content that occludes: the score of a content is its effect, in units of the table, whichever
    contents judge it. A plain mean would favour contents whose judges give high numbers.
    """
    n = tables.shape[1]
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    design = np.zeros((len(pairs), 2 * n))
    for row, (i, j) in zip(design, pairs, strict=True):
        row[[i, n + j]] = 1
    solve = np.linalg.pinv(design)[:n]
    cells = tables[:, [i for i, _ in pairs], [j for _, j in pairs]]

    def scores(weights: Floats) -> Floats:
        mean = (weights @ cells) / weights.sum(1, keepdims=True)
        effects = mean @ solve.T
        centred: Floats = effects - effects.mean(1, keepdims=True) + mean.mean(1, keepdims=True)
        return centred

    return scores


def repeatability(lime: SoundLIME, explanation: Explanation, *, n: int, seed: int) -> float:
    """Return the mean rank correlation with explanations after small changes; 0 if all are flat."""
    measured = stability(lime, explanation, n=n, seed=seed)
    parts = [part for part in (measured.shift, measured.noise) if part is not None]
    known = [part for part in parts if np.isfinite(part)]
    return float(np.mean(known)) if known else 0.0


def right_segments(explanation: Explanation, truth: Collection[int]) -> int:
    """Count the segments of a truth among as many that the explanation names."""
    return len({*explanation.top(len(truth))} & {*truth})


def song_means(values: Floats, songs: Sequence[int], n_songs: int) -> Floats:
    """Average values [excerpt, ...] over the excerpts of each song."""
    place = np.asarray(songs)
    return np.stack([values[place == song].mean(0) for song in range(n_songs)])


@dataclass(frozen=True, eq=False)
class OccludedFeatures:
    """Hold features of real excerpts, and of the same ones occluded with each content.

    Parameters
    ----------
    real : ndarray [excerpt, column]
        Features of the excerpts.
    made : list of ndarray [coalition * excerpt, column]
        Features of occluded excerpts, by content.
    songs : ndarray [excerpt]
        Number of the song of each excerpt.
    """

    real: Floats
    made: list[Floats]
    songs: NDArray[np.int64]

    @property
    def n_songs(self) -> int:
        """Number of songs."""
        return int(self.songs.max()) + 1

    @property
    def songs_made(self) -> NDArray[np.int64]:
        """Number of the song of each occluded excerpt."""
        return np.repeat(self.songs, _COALITIONS)


def occluded_features(
    feature: Feature,
    limes: Sequence[SoundLIME],
    explained: Sequence[Sequence[Explanation]],
    songs: Sequence[int],
    *,
    seed: int,
) -> OccludedFeatures:
    """Compute features of excerpts and of occluded ones, by content.

    Each excerpt is occluded in four random coalitions, the same for all contents.
    """
    generator = torch.Generator().manual_seed(seed)
    n_segments = len(explained[0][0].extents)
    keep = torch.rand(len(songs), _COALITIONS, n_segments, generator=generator) < 0.5
    real = _features(feature, torch.stack([e.patch.values for e in explained[0]]))
    made = []
    for lime, explanations in zip(limes, explained, strict=True):
        pairs = zip(explanations, keep, strict=True)
        made.append(_features(feature, torch.cat([_occluded(lime, e, rows) for e, rows in pairs])))
    return OccludedFeatures(real, made, np.asarray(songs))


def closeness(features: OccludedFeatures) -> Scores:
    """Make scores of contents by the kernel distance of occluded inputs from real ones.

    The distance is KID's, over pairs of excerpts of different songs: those of one song would be
    close whatever replaces a part of them. Scores are negative distances.
    """
    n_songs, place, of_made = features.n_songs, features.songs, features.songs_made
    within_real = _blocks(features.real, place, features.real, place, n_songs)
    parts = []
    for made in features.made:
        within = _blocks(made, of_made, made, of_made, n_songs)
        across = _blocks(features.real, place, made, of_made, n_songs)
        parts.append(within_real + within - across - across.T)
    table = np.stack(parts)  # [content, song, song]
    table[:, range(n_songs), range(n_songs)] = 0

    def scores(weights: Floats) -> Floats:
        pairs = weights.sum(1) ** 2 - (weights**2).sum(1)  # of different songs
        sums = np.einsum("rs,cst,rt->rc", weights, table, weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            distances: Floats = sums / pairs[:, None]
        return -distances

    return scores


def frechet(features: OccludedFeatures) -> Scores:
    """Make scores of contents by the Frechet distance of occluded inputs from real ones.

    A song that is drawn twice has its excerpts twice. Scores are negative distances, which are
    biased upwards for few excerpts, for all contents alike.
    """

    def scores(weights: Floats) -> Floats:
        parts = np.array_split(weights, max(1, len(weights) // _DRAWS))
        return np.concatenate([of_part(part) for part in parts])

    def of_part(weights: Floats) -> Floats:
        real = _normal(features.real, weights[:, features.songs])
        weights_made = weights[:, features.songs_made]
        columns = [gaussian.distance(real, _normal(made, weights_made)) for made in features.made]
        distances: Floats = torch.stack(columns, 1).numpy()
        return -distances

    return scores


def _normal(rows: Floats, weights: Floats) -> gaussian.Normal:
    """Return the normal distributions [draw] of weighted rows; weights are counts."""
    x, counts = torch.from_numpy(rows), torch.from_numpy(weights)
    n = counts.sum(1, keepdim=True)
    mean = counts @ x / n
    centred = (counts / (n - 1)).sqrt()[..., None] * (x - mean[:, None])
    if len(rows) < rows.shape[1]:
        return gaussian.Normal(mean, rows=centred)
    return gaussian.Normal(mean, covariance=centred.mT @ centred)


def _occluded(lime: SoundLIME, explanation: Explanation, keep: Tensor) -> Tensor:
    """Occlude an excerpt in coalitions, with the content of an explainer."""
    values, ids = (
        explanation.patch.values,
        explanation.segment_ids.to(explanation.patch.values.device),
    )
    content = lime.content(explanation.patch, ids)
    coalitions = ops.pack(keep.to(values.device))
    return ops.occlude(values, content, ops.SegmentMap(ids, keep.shape[1]), coalitions)


def _features(feature: Any, inputs: Tensor) -> Floats:
    rows = []
    with torch.no_grad():
        for batch in inputs.split(64):
            rows.append(feature(batch[:, None]).detach().cpu().double())
    features = torch.cat(rows)
    if features.ndim != 2 or not features.isfinite().all():
        raise ParameterError(
            f"features have shape {tuple(features.shape)}, must be [batch, column], all finite"
        )
    values: Floats = features.numpy()
    return values


def _blocks(
    a: Floats, of_a: NDArray[np.int64], b: Floats, of_b: NDArray[np.int64], n_songs: int
) -> Floats:
    """Average KID's kernel over the pairs of each two songs: [song, song]."""
    kernel = (a @ b.T / a.shape[1] + 1) ** 3
    by_song = [kernel[of_a == s] for s in range(n_songs)]
    return np.array(
        [[rows[:, of_b == t].mean() for t in range(n_songs)] for rows in by_song], np.float64
    )
