"""Contents from around the occluded cells: blurred, or interpolated from a segment's borders."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy  # loads its parts when they are used
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content, register
from otoscope.protocols import Patch

__all__ = ["blur", "inpaint"]


@register("the excerpt, blurred")
def blur(sigma_frames: float = 8.0, sigma_bands: float = 4.0) -> Content:
    """Occlude with the patch after a Gaussian filter, which keeps energy but not shape.

    Parameters
    ----------
    sigma_frames, sigma_bands : float
        Standard deviation of the filter along time and frequency, >= 0; edges are repeated.

    Returns
    -------
    Content
        Values [frame, mel].

    Raises
    ------
    ParameterError
        If a sigma is negative.

    Examples
    --------
    >>> flat = Patch(torch.ones(4, 3))
    >>> bool((blur()(flat, torch.zeros(4, 3)) == 1).all())
    True
    """
    if not (sigma_frames >= 0 and sigma_bands >= 0):
        raise ParameterError(f"sigmas are {sigma_frames} and {sigma_bands}, must be >= 0")

    draw = partial(_blurred, (sigma_frames, sigma_bands))
    return Content(f"blur({sigma_frames:g}, {sigma_bands:g})", draw)


@register("values interpolated from around each part")
def inpaint() -> Content:
    """Occlude each segment with the smoothest surface between the cells around it.

    Returns
    -------
    Content
        Values [frame, mel]. Inside a segment, every cell is the mean of its four neighbours (the
        discrete Laplace equation); neighbours outside the segment have the patch's values. Cells
        at the patch's edges have fewer neighbours.

    Notes
    -----
    Every segment is interpolated as if it were occluded alone. If adjacent segments are occluded
    together, their values match at the common border only approximately.

    Examples
    --------
    >>> ramp = Patch(torch.arange(5.0)[:, None])
    >>> ids = torch.tensor([0, 1, 1, 1, 2])[:, None]
    >>> inpaint()(ramp, ids)[1:4, 0].tolist()
    [1.0, 2.0, 3.0]
    """
    return Content("inpaint", _harmonic)


def _blurred(sigmas: tuple[float, float], patch: Patch, ids: Tensor) -> Tensor:
    values = patch.values.detach().double().cpu().numpy()
    return torch.from_numpy(scipy.ndimage.gaussian_filter(values, sigmas, mode="nearest"))


def _harmonic(patch: Patch, ids: Tensor) -> Tensor:
    """Solve ``n_neighbours * value - sum(neighbours) = 0`` for all segments at once."""
    segment = ids.cpu().numpy().ravel()
    if (segment == segment[0]).all():
        raise ParameterError("content 'inpaint' needs at least two segments, the patch has one")
    known = patch.values.detach().double().cpu().numpy().ravel()
    cell = np.arange(segment.size).reshape(ids.shape)
    pairs = [(cell[1:], cell[:-1]), (cell[:, 1:], cell[:, :-1])]
    here = np.concatenate([side.ravel() for a, b in pairs for side in (a, b)])
    there = np.concatenate([side.ravel() for a, b in pairs for side in (b, a)])
    inside = segment[here] == segment[there]
    n_neighbours = np.bincount(here, minlength=segment.size)
    shape = (segment.size, segment.size)
    links = scipy.sparse.coo_array((inside.astype(np.float64), (here, there)), shape=shape)
    border = np.bincount(here, weights=~inside * known[there], minlength=segment.size)
    laplacian = scipy.sparse.diags_array(n_neighbours.astype(np.float64)) - links
    filled = scipy.sparse.linalg.spsolve(laplacian.tocsc(), border)
    return torch.from_numpy(filled.reshape(ids.shape))
