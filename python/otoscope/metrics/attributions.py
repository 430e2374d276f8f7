"""Measures of attribution maps: agreement with a truth, sparseness and complexity.

A map holds one number per cell; a truth is a mask of the same shape, True where the target is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.errors import ParameterError

__all__ = [
    "complexity",
    "intersection_over_union",
    "pointing_game",
    "rank_correlation",
    "relaxed_auc",
    "roc_auc",
    "sparseness",
]

Map = NDArray[np.float64]


def roc_auc(attribution: ArrayLike, truth: ArrayLike) -> float:
    """Compute the area under the ROC curve of an attribution as a detector of the truth.

    Parameters
    ----------
    attribution : array
        Attribution of each cell; higher is more.
    truth : array of bool
        True where the target is.

    Returns
    -------
    float
        Probability that a cell of the truth has a higher attribution than another, ties counted
        half; NaN if the truth is everywhere or nowhere.

    Examples
    --------
    >>> roc_auc([0.9, 0.1, 0.5, 0.5], [True, False, True, False])
    0.875
    """
    values, inside = _pair(attribution, truth)
    n, m = int(inside.sum()), int((~inside).sum())
    if not n or not m:
        return float("nan")
    ranks = _ranks(values)
    return float((ranks[inside].sum() - n * (n + 1) / 2) / (n * m))


def relaxed_auc(
    attribution: ArrayLike, truth: ArrayLike, *, tolerance: int, axis: int = 0
) -> float:
    """Compute the area under the ROC curve without the cells near the edges of the truth.

    Parameters
    ----------
    attribution : array
        Attribution of each cell.
    truth : array of bool
        True where the target is.
    tolerance : int
        Cells on either side of an edge that do not count, >= 0: annotations and segments are no
        finer.
    axis : int
        Axis of time.

    Returns
    -------
    float
        As `roc_auc` for the other cells.

    Notes
    -----
    Time-localised benchmarks relax the edges of annotated events (Bolaños et al. 2025); this is the
    form in which cells near an edge are left out.

    References
    ----------
    Bolaños et al. (2025) :cite:`bolanos2025`.

    Examples
    --------
    >>> relaxed_auc([0, 1, 1, 0, 0], [False, False, True, True, False], tolerance=1)
    nan
    >>> relaxed_auc([0, 0, 1, 1, 1, 1], [False, False, False, True, True, True], tolerance=1)
    1.0
    """
    if tolerance < 0:
        raise ParameterError(f"tolerance is {tolerance}, must be >= 0")
    values, inside = _pair(attribution, truth, is_flat=False)
    values, inside = np.moveaxis(values, axis, 0), np.moveaxis(inside, axis, 0)
    is_edge = np.zeros(inside.shape, bool)
    changes = inside[1:] != inside[:-1]  # between frame i and i + 1
    for shift in range(tolerance):
        is_edge[: max(len(inside) - 1 - shift, 0)] |= changes[shift:]
        is_edge[1 + shift :] |= changes[: max(len(changes) - shift, 0)]
    if is_edge.all():
        return float("nan")
    return roc_auc(values[~is_edge], inside[~is_edge])


def intersection_over_union(attribution: ArrayLike, truth: ArrayLike) -> float:
    """Compute the overlap of the truth with as many cells of the highest attribution.

    Parameters
    ----------
    attribution : array
        Attribution of each cell.
    truth : array of bool
        True where the target is.

    Returns
    -------
    float
        Intersection over union, in [0, 1]; cells that tie at the threshold count by the fraction of
        them that is needed. NaN if the truth is nowhere.

    Examples
    --------
    >>> round(intersection_over_union([3, 2, 1, 0], [True, False, True, False]), 3)
    0.333
    """
    values, inside = _pair(attribution, truth)
    n = int(inside.sum())
    if not n:
        return float("nan")
    threshold = np.sort(values)[-n]
    above, tied = values > threshold, values == threshold
    share = (n - above.sum()) / tied.sum()
    common = float((above & inside).sum() + share * (tied & inside).sum())
    return common / (2 * n - common)


def pointing_game(attribution: ArrayLike, truth: ArrayLike) -> bool | None:
    """Tell whether a cell of the highest attribution lies in the truth.

    Parameters
    ----------
    attribution : array
        Attribution of each cell.
    truth : array of bool
        True where the target is.

    Returns
    -------
    bool or None
        Of cells that tie one is enough; None if the truth is nowhere.

    References
    ----------
    Zhang et al. (2018), as in Quantus.

    Examples
    --------
    >>> pointing_game([0.1, 0.9], [False, True])
    True
    """
    values, inside = _pair(attribution, truth)
    return bool(inside[values == values.max()].any()) if inside.any() else None


def sparseness(attribution: ArrayLike) -> float:
    """Compute the Gini index of the absolute attributions: SPS of L-MAC, Sparseness of Quantus.

    Parameters
    ----------
    attribution : array
        Attribution of each cell.

    Returns
    -------
    float
        0 if all are equal, up to 1 - 1 / n if all but one are 0.

    References
    ----------
    Chalasani et al. (2020); Paissan et al. (2024), L-MAC.

    Examples
    --------
    >>> sparseness([0.0, 0.0, 0.0, 2.0])
    0.75
    """
    sizes = np.sort(np.abs(_map(attribution)).ravel())
    if not sizes.sum():
        return 0.0
    n = len(sizes)
    return float((2 * np.arange(1, n + 1) - n - 1) @ sizes / (n * sizes.sum()))


def complexity(attribution: ArrayLike) -> float:
    """Compute the entropy of the absolute attributions in nats: COMP of L-MAC and of Quantus.

    Parameters
    ----------
    attribution : array
        Attribution of each cell.

    Returns
    -------
    float
        0 if one cell has all, ln(n) if all are equal.

    References
    ----------
    Bhatt et al. (2020); Paissan et al. (2024), L-MAC.

    Examples
    --------
    >>> complexity([0.0, 3.0])
    0.0
    """
    sizes = np.abs(_map(attribution)).ravel()
    if not sizes.sum():
        return float(np.log(len(sizes)))
    shares = sizes[sizes > 0] / sizes.sum()
    return float(-(shares @ np.log(shares))) + 0.0


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Compute Spearman's correlation of two maps; ties have their mean rank.

    Parameters
    ----------
    first, second : array
        Attributions of the same cells.

    Returns
    -------
    float
        In [-1, 1]; NaN if one of them is constant.

    Examples
    --------
    >>> round(rank_correlation([1, 2, 3], [10, 20, 40]), 6)
    1.0
    """
    a, b = _map(first).ravel(), _map(second).ravel()
    if a.shape != b.shape:
        raise ParameterError(f"the maps have {a.size} and {b.size} cells, must have as many")
    x, y = _ranks(a), _ranks(b)
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale else float("nan")


def _ranks(values: Map) -> Map:
    """Return ranks from 1; values that tie have their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Map = (last - (counts - 1) / 2)[inverse.reshape(-1)]
    return ranks


def _map(attribution: ArrayLike) -> Map:
    values = np.asarray(attribution, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ParameterError("the attribution is empty, or has numbers that are not finite")
    return values


def _pair(
    attribution: ArrayLike, truth: ArrayLike, *, is_flat: bool = True
) -> tuple[Map, NDArray[np.bool_]]:
    values, inside = _map(attribution), np.asarray(truth)
    if inside.dtype != bool or inside.shape != values.shape:
        raise ParameterError(
            f"the truth is {inside.dtype} {inside.shape}, must be bool {values.shape}"
        )
    return (values.ravel(), inside.ravel()) if is_flat else (values, inside)
