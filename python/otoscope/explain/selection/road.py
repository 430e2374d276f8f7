"""Remove and debias: segments are removed by a fill that no content under test chose.

A cell that is removed becomes the weighted mean of its neighbours, with a little noise, so that a
model can hardly see from the fill which cells were removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import scipy  # loads its parts when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.fit.contributions import ranked
from otoscope.explain.result import Explanation
from otoscope.explain.soundlime import SoundLIME

__all__ = ["linear_imputation", "road_scores"]

_STEPS = ((0, 1, 1 / 6), (1, 0, 1 / 6), (1, 1, 1 / 12), (1, -1, 1 / 12))
_NOISE = 0.01  # of the excerpt's deviation


def linear_imputation(
    values: Tensor, keep: Tensor, *, noise: float = _NOISE, seed: int = 0
) -> Tensor:
    """Fill cells by the weighted mean of their neighbours, and add noise.

    Direct neighbours weigh 1/6, diagonal ones 1/12; neighbours that are filled too are solved for.

    Parameters
    ----------
    values : Tensor [frame, mel]
        Values.
    keep : Tensor [frame, mel], bool
        True where a cell stays; at least one cell.
    noise : float
        Standard deviation of the noise, as a fraction of that of the values.
    seed : int
        Random seed of the noise.

    Returns
    -------
    Tensor [frame, mel]
        Values with the other cells filled.

    Raises
    ------
    ParameterError
        If no cell stays.

    References
    ----------
    Rong et al. (2022) :cite:`rong2022`, section 4.

    Examples
    --------
    >>> keep = torch.tensor([[True], [False], [True]])
    >>> linear_imputation(torch.tensor([[0.0], [9.0], [4.0]]), keep, noise=0.0)[1]
    tensor([2.])
    """
    if not keep.any():
        raise ParameterError("no cell stays; imputation needs one at least")
    known = values.detach().double().cpu().numpy().ravel()
    stays = keep.cpu().numpy().ravel()
    weights = _weights(*values.shape)
    unknown = np.flatnonzero(~stays)
    filled = known.copy()
    if len(unknown):
        rows = weights[unknown]
        total = np.asarray(rows.sum(1)).ravel()
        system = scipy.sparse.diags_array(total) - rows[:, unknown]
        border = rows[:, np.flatnonzero(stays)] @ known[stays]
        filled[unknown] = scipy.sparse.linalg.spsolve(
            system.tocsc(), border, permc_spec="MMD_AT_PLUS_A"
        )
        rng = np.random.default_rng(seed)
        filled[unknown] += noise * known.std() * rng.standard_normal(len(unknown))
    return torch.from_numpy(filled.reshape(values.shape)).to(values)


@cache
def _weights(n_frames: int, n_mel: int) -> scipy.sparse.csr_array:
    """Return the weights of the neighbours of each cell, a symmetric matrix."""
    cell = np.arange(n_frames * n_mel).reshape(n_frames, n_mel)
    here, there, weight = [], [], []
    for down, right, value in _STEPS:
        a = cell[: n_frames - down, max(0, -right) : n_mel - max(0, right)].ravel()
        b = cell[down:, max(0, right) : n_mel + min(0, right)].ravel()
        here += [a, b]
        there += [b, a]
        weight.append(np.full(2 * a.size, value))
    places = np.concatenate(here), np.concatenate(there)
    return scipy.sparse.csr_array((np.concatenate(weight), places), shape=(cell.size, cell.size))


def road_scores(
    lime: SoundLIME, explanation: Explanation, attributions: Sequence[Tensor], *, seed: int = 0
) -> NDArray[np.float64]:
    """Score attributions of one excerpt by removing segments with imputation.

    Parameters
    ----------
    lime : SoundLIME
        Explainer of the model; its content is not used.
    explanation : Explanation
        Explanation of the excerpt, showing the target.
    attributions : sequence of Tensor [segment]
        Attributions.
    seed : int
        Random seed of the noise.

    Returns
    -------
    ndarray [attribution], float64
        Area below the outputs with the least relevant segments removed first, less that with the
        most relevant removed first, over the fraction of segments; higher is better.

    Raises
    ------
    ParameterError
        If the excerpt has one segment, or is a sound.

    References
    ----------
    Rong et al. (2022) :cite:`rong2022`.

    Examples
    --------
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> explanation = lime.explain(torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None])
    >>> road_scores(lime, explanation, [torch.arange(4.0), -torch.arange(4.0)]).round(1).tolist()
    [0.6, -0.6]
    """
    n, ids = len(explanation.extents), explanation.segment_ids.long()
    if explanation.mixture is not None or n < 2:
        raise ParameterError(f"ROAD takes spectrograms of 2 segments or more, not {n} of a sound")
    patch = explanation.patch
    whole = torch.ones(1, n, dtype=torch.bool)
    known: dict[tuple[int, ...], float] = {(): explanation.output_all}

    def output(removed: Sequence[int]) -> float:
        key = tuple(sorted(removed))
        if key not in known:
            stays = torch.ones(n, dtype=torch.bool)
            stays[list(key)] = False
            values = linear_imputation(patch.values, stays[ids], seed=seed)
            filled = replace(patch, values=values)
            known[key] = float(lime.outputs(filled, whole)[0, explanation.selected])
        return known[key]

    def area(order: Sequence[int]) -> float:
        curve = [output(order[:k]) for k in range(n)]
        return float(np.trapezoid(curve, dx=1 / n))

    orders = [ranked(values.double()).tolist() for values in attributions]
    return np.array([area(order[::-1]) - area(order) for order in orders])
