"""Precision, recall, density and coverage: what nearest neighbours say of two sets of features.

Each set is taken as the union of balls around its rows that reach to the k-th neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import check_features

__all__ = ["NeighbourScores", "neighbour_scores"]

_BLOCK = 1024  # rows whose distances are in memory


@dataclass(frozen=True)
class NeighbourScores:
    """Scores of a generated set against a real one.

    Parameters
    ----------
    precision : float
        Fraction of generated rows within a ball of the real set.
    recall : float
        Fraction of real rows within a ball of the generated set.
    density : float
        Mean number of real balls that hold a generated row, divided by k; above 1 where they
        crowd.
    coverage : float
        Fraction of real balls that hold a generated row.

    Examples
    --------
    >>> rows = torch.arange(20.0)[:, None]
    >>> neighbour_scores(rows, rows + 0.1, k=3).coverage
    1.0
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_scores(real: Tensor, generated: Tensor, *, k: int = 5) -> NeighbourScores:
    """Compute precision, recall, density and coverage.

    Parameters
    ----------
    real, generated : Tensor [row, column]
        Features, finite, more than ``k`` rows each.
    k : int
        Number of neighbours that a ball reaches, >= 1.

    Returns
    -------
    NeighbourScores
        The four scores.

    Raises
    ------
    ParameterError
        If the shapes do not fit, a row is not finite, a set has no more than ``k`` rows, or each of
        its rows has ``k`` equal ones.

    Notes
    -----
    A row on the edge of a ball is outside. Scores depend on the number of rows: compare sets of one
    size, and sets in one layer.

    References
    ----------
    Kynkäänniemi et al. (2019) :cite:`kynkaanniemi2019`: precision, recall. Naeem et al. (2020)
    :cite:`naeem2020`: density, coverage.

    Examples
    --------
    >>> rows = torch.arange(20.0)[:, None]
    >>> neighbour_scores(rows, rows + 100, k=3)
    NeighbourScores(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    check_features(real)
    check_features(generated, columns=real.shape[-1])
    if not isinstance(k, int) or k < 1:
        raise ParameterError(f"k is {k}, must be a whole number >= 1")
    x, y = real.detach().double(), generated.detach().double()
    for side, rows in (("real", x), ("generated", y)):
        if len(rows) <= k:
            raise ParameterError(f"the {side} set has {len(rows)} rows, k is {k}; take more rows")
        if not bool(rows.isfinite().all()):
            raise ParameterError(f"the {side} set holds NaN or infinity")
    of_real, of_generated = _radii("real", x, k), _radii("generated", y, k)
    held = x.new_zeros(len(y))  # number of real balls that hold a generated row
    recalled, covered = 0, 0
    for part, radii in zip(x.split(_BLOCK), of_real.split(_BLOCK), strict=True):
        distances = torch.cdist(part, y, compute_mode="donot_use_mm_for_euclid_dist")
        within = distances < radii[:, None]
        held += within.sum(0)
        covered += int(within.any(1).sum())
        recalled += int((distances < of_generated).any(1).sum())
    return NeighbourScores(
        precision=float((held > 0).double().mean()),
        recall=recalled / len(x),
        density=float(held.mean()) / k,
        coverage=covered / len(x),
    )


def _radii(side: str, rows: Tensor, k: int) -> Tensor:
    """Return the distance of each row to its k-th neighbour; not all may be 0."""
    parts = [
        torch.cdist(part, rows, compute_mode="donot_use_mm_for_euclid_dist")
        .kthvalue(k + 1, dim=1)
        .values
        for part in rows.split(_BLOCK)
    ]
    radii = torch.cat(parts)
    if not bool(radii.isfinite().all()):
        raise ParameterError(f"distances in the {side} set overflow float64; scale the features")
    if not bool(radii.any()):
        raise ParameterError(
            f"each row of the {side} set has {k} equal ones or more, so that its balls are empty; "
            "take features that differ"
        )
    return radii
