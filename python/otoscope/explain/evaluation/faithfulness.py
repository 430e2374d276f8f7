"""Faithfulness: how the output follows the attribution when segments are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.fit.contributions import ranked
from otoscope.explain.fit.evidence import LEAST, clear_segments
from otoscope.explain.result import Explanation
from otoscope.explain.soundlime import SoundLIME

__all__ = ["Faithfulness", "faithfulness"]


@dataclass(frozen=True)
class Faithfulness:
    """Hold measures of faithfulness of an attribution, for one excerpt.

    Parameters
    ----------
    deletion, insertion : tuple of float
        Outputs after 0, 1, ... n segments were replaced, the highest attribution first; and after
        as many came back into the replaced excerpt.
    deletion_auc, insertion_auc : float
        Areas below the curves over fractions of segments, by trapezoids. Faithful are a low
        deletion and a high insertion.
    correlation : float
        Faithfulness correlation: Pearson's, over subsets of segments, of the sum of their
        attributions with the fall of the output without them; NaN if one of these is constant.
    named : tuple of int
        Segments of the mask: attributions of at least 5 % of the highest, above 0.
    drop : float
        Average drop: the fraction of the output that is lost with the mask alone, at least 0.
    increase : bool
        Average increase counts excerpts whose output is higher with the mask alone.
    gain : float
        Average gain: the rise of the output with the mask alone, of what is left to 1; at least 0.
    fidelity : float
        FF of L-MAC: the fall of the output without the mask.
    passes : int
        Coalitions that the explanation's table did not hold.

    Notes
    -----
    Drop, increase and gain of one excerpt; average them over excerpts. They are meant for
    probabilities: drop and gain are NaN where the output is 0 or 1.

    Examples
    --------
    >>> measures = Faithfulness(
    ...     (0.9, 0.1), (0.1, 0.9), 0.5, 0.5, 1.0, (0,), 0.0, False, 0.0, 0.8, 0
    ... )
    >>> measures.fidelity
    0.8
    """

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    deletion_auc: float
    insertion_auc: float
    correlation: float
    named: tuple[int, ...]
    drop: float
    increase: bool
    gain: float
    fidelity: float
    passes: int


def faithfulness(
    lime: SoundLIME,
    explanation: Explanation,
    attribution: Tensor | None = None,
    *,
    subset_size: int | None = None,
    n_subsets: int = 100,
    subsets: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> Faithfulness:
    """Measure how the output follows an attribution when segments are replaced.

    Parameters
    ----------
    lime : SoundLIME
        Explainer with model, segments and content; it evaluates what the table does not hold.
    explanation : Explanation
        Its explanation of the excerpt, showing the target.
    attribution : Tensor [segment], optional
        Attribution to measure; by default the coefficients.
    subset_size : int, optional
        Number of segments of a subset for the correlation; by default a quarter, at least 1.
    n_subsets : int
        Largest number of subsets: drawn, or all there are if these are no more.
    subsets : sequence of sequences of int, optional
        The subsets themselves.
    seed : int
        Random seed of the subsets.

    Returns
    -------
    Faithfulness
        All measures, from one evaluation of the coalitions that were missing.

    Raises
    ------
    ParameterError
        If a size is out of range, or the attribution has another number of segments.

    References
    ----------
    Samek et al. (2017) (pixel flipping); Petsiuk et al. (2018) (deletion and insertion); Bhatt et
    al. (2020) (faithfulness correlation); Chattopadhay et al. (2018) (average drop and increase);
    Zhang et al. (2023) (average gain); Paissan et al. (2024) (L-MAC's FF).

    Examples
    --------
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> measures = faithfulness(lime, lime.explain(torch.ones(4, 1)))
    >>> measures.deletion, measures.fidelity, measures.passes
    ((1.0, 0.0, 0.0, 0.0, 0.0), 1.0, 0)
    """
    values = explanation.coefficients if attribution is None else attribution.double()
    n = len(explanation.extents)
    if values.shape != (n,):
        raise ParameterError(f"the attribution has shape {tuple(values.shape)}, must be ({n},)")
    order = ranked(values).tolist()
    named = clear_segments(values, 0.0, LEAST)
    drawn = _subsets(n, subset_size, n_subsets, seed) if subsets is None else subsets
    removed = _rows(n, [order[:k] for k in range(n + 1)])
    rows = torch.cat([~removed, removed, _rows(n, [named]), ~_rows(n, [named]), ~_rows(n, drawn)])
    outputs, passes = outputs_of(lime, explanation, rows)
    deletion, insertion = outputs[: n + 1], outputs[n + 1 : 2 * n + 2]
    alone, without, *_ = outputs[2 * n + 2 :].tolist()
    whole, falls = float(deletion[0]), deletion[0] - outputs[2 * n + 4 :]
    sums = torch.stack([values[list(subset)].sum() for subset in drawn])
    return Faithfulness(
        deletion=tuple(deletion.tolist()),
        insertion=tuple(insertion.tolist()),
        deletion_auc=_area(deletion),
        insertion_auc=_area(insertion),
        correlation=_pearson(sums, falls),
        named=tuple(named),
        drop=max(whole - alone, 0.0) / whole if whole else float("nan"),
        increase=alone > whole,
        gain=max(alone - whole, 0.0) / (1 - whole) if whole != 1 else float("nan"),
        fidelity=whole - without,
        passes=passes,
    )


def outputs_of(lime: SoundLIME, explanation: Explanation, rows: Tensor) -> tuple[Tensor, int]:
    """Return the outputs [row] of the target shown, and how many the table did not hold."""
    known, index = np.unique(_keys(explanation.keep), return_index=True)
    keys, at = np.unique(_keys(rows), return_inverse=True)
    first = np.empty(len(keys), int)
    first[at[::-1]] = np.arange(len(rows))[::-1]  # a row for each key
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    is_known = known[place] == keys
    values = explanation.outputs[torch.from_numpy(index[place]), explanation.selected].clone()
    if not is_known.all():
        missing = torch.from_numpy(~is_known)
        further = rows[torch.from_numpy(first)[missing]]
        values[missing] = lime.outputs(explanation.patch, further)[:, explanation.selected]
    return values[torch.from_numpy(at)], int((~is_known).sum())


def _keys(keep: Tensor) -> NDArray[np.bytes_]:
    """Return one sortable value per row of a mask."""
    packed = np.packbits(keep.numpy(), axis=1)
    keys: NDArray[np.bytes_] = packed.view(f"S{packed.shape[1]}")[:, 0]
    return keys


def _rows(n: int, sets: Sequence[Sequence[int]]) -> Tensor:
    rows = torch.zeros(len(sets), n, dtype=torch.bool)
    for row, segments in zip(rows, sets, strict=True):
        row[list(segments)] = True
    return rows


def _subsets(n: int, size: int | None, n_subsets: int, seed: int) -> list[tuple[int, ...]]:
    """Draw subsets of one size without replacement within each; all if there are no more."""
    size = max(n // 4, 1) if size is None else size
    if not 1 <= size <= n or n_subsets < 2:
        raise ParameterError(
            f"subset_size is {size}, must be in 1..{n}; n_subsets is {n_subsets}, must be >= 2"
        )
    if comb(n, size) <= n_subsets:
        return list(combinations(range(n), size))
    generator = torch.Generator().manual_seed(seed)
    return [tuple(torch.randperm(n, generator=generator)[:size].tolist()) for _ in range(n_subsets)]


def _area(curve: Tensor) -> float:
    return float(torch.trapezoid(curve, dx=1 / (len(curve) - 1)))


def _pearson(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float((a.square().sum() * b.square().sum()).sqrt())
    is_constant = min(float(a.abs().max()), float(b.abs().max())) <= 1e-12
    return float("nan") if is_constant else float(a @ b) / scale
