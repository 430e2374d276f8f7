"""MAUVE: the trade-off between what one set has and the other lacks, over clusters of both.

Rows are divided by their norm, reduced to their main components, and clustered; the two histograms
over the clusters are compared by the divergence of each from mixtures of both.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import check_features

__all__ = ["MauveScore", "mauve_score"]

Floats = NDArray[np.float64]

_EXPLAINED = 0.9  # fraction of the variance that the components have
_ROWS = 10  # of the smaller set, per cluster
_POINTS = 25  # mixtures of the two histograms
_SCALE = 5.0  # c of the paper
_ITERATIONS = 500


@dataclass(frozen=True)
class MauveScore:
    """Similarity of two sets of features.

    Parameters
    ----------
    similarity : float
        MAUVE, in (0, 1]: 1 if the sets fall into the clusters in equal fractions.
    n_clusters : int
        Number of clusters.

    Examples
    --------
    >>> MauveScore(0.5, n_clusters=10).divergence
    0.6931471805599453
    """

    similarity: float
    n_clusters: int

    @property
    def divergence(self) -> float:
        """MAUVE audio divergence (MAD): -ln of the similarity, >= 0."""
        return -math.log(self.similarity) + 0.0


def mauve_score(
    real: Tensor,
    generated: Tensor,
    *,
    n_clusters: int | None = None,
    restarts: int = 5,
    seed: int = 0,
) -> MauveScore:
    """Compare two sets of features by MAUVE.

    Parameters
    ----------
    real, generated : Tensor [row, column]
        Features, finite, two rows or more each.
    n_clusters : int, optional
        Number of clusters, >= 2; by default a tenth of the rows of the smaller set.
    restarts : int
        Number of clusterings, of which the tightest is taken, >= 1.
    seed : int
        Random seed of the clusterings.

    Returns
    -------
    MauveScore
        Similarity, and its negative logarithm, the divergence (MAD).

    Raises
    ------
    ParameterError
        If the shapes do not fit, a row is not finite, or a number is out of range.

    Notes
    -----
    Values depend on the number of rows: compare sets of one size. Huang et al. compare one row per
    clip, the largest values over its frames in layer 24 of MERT. Clusters are those of scikit-learn
    (k-means++), not of faiss.

    References
    ----------
    Pillutla et al. (2021) :cite:`pillutla2021`, section 3. Huang et al. (2025) :cite:`huang2025`:
    the divergence.

    Examples
    --------
    >>> import torch
    >>> rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> mauve_score(rows, rows).similarity > 0.999, mauve_score(rows, rows + 9).similarity < 0.1
    (True, True)
    """
    check_features(real)
    check_features(generated, columns=real.shape[-1])
    sides = [rows.detach().double().cpu().numpy() for rows in (real, generated)]
    for name, rows in zip(("real", "generated"), sides, strict=True):
        if len(rows) < 2 or not np.isfinite(rows).all():
            raise ParameterError(f"the {name} set has {len(rows)} rows; need 2 or more, finite")
    fewest = min(len(rows) for rows in sides)
    k = max(2, round(fewest / _ROWS)) if n_clusters is None else n_clusters
    if not 2 <= k <= len(sides[0]) + len(sides[1]) or restarts < 1:
        raise ParameterError(
            f"n_clusters is {k} and restarts {restarts}; must be in [2, rows of both sets] and >= 1"
        )
    labels = _clusters(np.concatenate(sides), k, restarts, seed)
    parts = labels[: len(sides[0])], labels[len(sides[0]) :]
    first, second = (np.bincount(part, minlength=k) / len(part) for part in parts)
    return MauveScore(_area(first, second), k)


def _clusters(rows: Floats, k: int, restarts: int, seed: int) -> NDArray[np.intp]:
    """Return the cluster of each row."""
    from sklearn.cluster import KMeans

    largest = np.abs(rows).max(axis=1, keepdims=True)
    overflows = (largest > 1e150) | ((largest > 0) & (largest < 1e-150))  # its square
    rows = rows / np.where(overflows, largest, 1)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(norms > 0, norms, 1)
    rows = rows - rows.mean(0)
    is_wide = rows.shape[1] > len(rows)
    variances, axes = np.linalg.eigh(rows @ rows.T if is_wide else rows.T @ rows)
    variances, axes = variances[::-1].clip(min=0), axes[:, ::-1]
    explained = np.cumsum(variances) / max(float(variances.sum()), np.finfo(float).tiny)
    n_kept = 1 + int(np.argmax(explained >= _EXPLAINED))
    axes, lengths = axes[:, :n_kept], np.sqrt(variances[:n_kept])
    components = axes * lengths if is_wide else rows @ axes
    means = KMeans(k, n_init=restarts, max_iter=_ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct rows than clusters: some stay empty
        labels: NDArray[np.intp] = means.fit_predict(components)
    return labels


def _area(p: Floats, q: Floats) -> float:
    """Return the area under the curve of exp(-c KL) of both histograms from their mixtures."""
    curve = [(1.0, 0.0)]
    for weight in np.linspace(1e-6, 1 - 1e-6, _POINTS):
        mixture = weight * p + (1 - weight) * q
        curve.append((_likeness(q, mixture), _likeness(p, mixture)))
    x, y = np.array([*curve, (0.0, 1.0)]).T
    return min(1.0, (_trapezoids(x, y) + _trapezoids(y, x)) / 2)


def _likeness(p: Floats, mixture: Floats) -> float:
    """Return exp(-c KL(p, mixture))."""
    inside = p > 0
    divergence = float((p[inside] * np.log(p[inside] / mixture[inside])).sum())
    return math.exp(-_SCALE * max(0.0, divergence))


def _trapezoids(x: Floats, y: Floats) -> float:
    """Return the area below a curve that falls."""
    order = np.lexsort((-y, x))  # equal sets have all mixtures at (1, 1): before the end (1, 0)
    x, y = x[order], y[order]
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())
