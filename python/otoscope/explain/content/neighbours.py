"""Content from around the occluded cells: blurred, or filled in from the borders of the segment."""

from __future__ import annotations

import numpy as np
import scipy  # loads its parts when they are used
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content
from otoscope.protocols import Patch

__all__ = ["blur", "inpaint"]


def blur(sigma_frames: float = 8.0, sigma_bands: float = 4.0) -> Content:
    """The patch through a Gaussian filter: the energy stays, its shape goes.

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

    def draw(patch: Patch, ids: Tensor) -> Tensor:
        values = patch.values.detach().double().cpu().numpy()
        filtered = scipy.ndimage.gaussian_filter(
            values, (sigma_frames, sigma_bands), mode="nearest"
        )
        return torch.from_numpy(filtered)

    return Content(f"blur({sigma_frames:g}, {sigma_bands:g})", draw)


def inpaint() -> Content:
    """Each segment filled in from the cells around it: the smoothest surface between them.

    Returns
    -------
    Content
        Values [frame, mel], another for each segment: inside it every cell is the mean of its
        four neighbours (the discrete Laplace equation), those outside being the patch's. At the
        patch's edges there are fewer neighbours.

    Notes
    -----
    Every segment is filled in as if it were occluded alone; where neighbours are occluded with it,
    their own filling meets it without a step only approximately.

    Examples
    --------
    >>> ramp = Patch(torch.arange(5.0)[:, None])
    >>> ids = torch.tensor([0, 1, 1, 1, 2])[:, None]
    >>> inpaint()(ramp, ids)[1:4, 0].tolist()
    [1.0, 2.0, 3.0]
    """
    return Content("inpaint", _harmonic)


def _harmonic(patch: Patch, ids: Tensor) -> Tensor:
    """Solve, for all segments at once: neighbours * filling - neighbours' sum = 0."""
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
