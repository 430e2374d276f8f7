"""Attributions to evaluate: of our explanations, or made elsewhere, as an array or a file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.result import Explanation
from otoscope.foreign import read_arrays, read_text, refusing
from otoscope.protocols.patch import as_tensor

__all__ = ["Attribution", "read_attribution"]

_SUFFIXES = (".npy", ".npz", ".csv", ".txt")


@dataclass(frozen=True, eq=False)
class Attribution:
    """Hold an attribution by segments and by cells.

    Parameters
    ----------
    segments : Tensor [segment], float64
        Attribution of each segment; of a map, the mean over the segment's cells.
    cells : Tensor [frame, mel], float64
        Attribution of each cell.

    Examples
    --------
    >>> Attribution(torch.tensor([1.0]), torch.ones(2, 1)).segments
    tensor([1.])
    """

    segments: Tensor
    cells: Tensor


def read_attribution(given: object, explanation: Explanation) -> Attribution:
    """Read an attribution for the segments of an explanation.

    Parameters
    ----------
    given : array, Tensor, path or None
        [segment], [frame] or [frame, mel]; a file ``.npy``, ``.npz`` with one array, ``.csv`` or
        ``.txt``. None: the coefficients of the explanation.
    explanation : Explanation
        Explanation of the same excerpt.

    Returns
    -------
    Attribution
        By segments and by cells.

    Raises
    ------
    ParameterError
        If the shape fits neither segments nor cells, a number is not finite, or a file cannot be
        read.

    Examples
    --------
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:2", content=0.0, target=3)
    >>> read_attribution([0.0, 0.2, 0.4, 0.6], lime.explain(torch.ones(4, 1))).segments
    tensor([0.1000, 0.5000], dtype=torch.float64)
    """
    ids = explanation.segment_ids.long()
    n, shape = len(explanation.extents), tuple(ids.shape)
    if given is None:
        return Attribution(explanation.coefficients, explanation.coefficients[ids])
    if isinstance(given, str | PathLike):
        given = _read(Path(given))
    values = as_tensor("attribution", given).detach().cpu().double()
    if not values.isfinite().all():
        raise ParameterError("the attribution has numbers that are not finite")
    if values.shape == (n,):
        return Attribution(values, values[ids])
    if values.shape == shape[:1]:
        values = values[:, None].expand(shape)
    if tuple(values.shape) != shape:
        raise ParameterError(
            f"the attribution has shape {tuple(values.shape)}, must be one number per segment "
            f"({n},), per frame ({shape[0]},) or per cell {shape}"
        )
    count = ids.flatten().bincount(minlength=n)
    sums = torch.zeros(n, dtype=torch.float64).index_add_(0, ids.flatten(), values.flatten())
    return Attribution(sums / count, values)


def _read(path: Path) -> Any:
    """Read the only array of a file."""
    if path.suffix not in _SUFFIXES or not path.is_file():
        kind = f"of another kind than {', '.join(_SUFFIXES)}" if path.is_file() else "not there"
        raise ParameterError(f"the attribution {path} is {kind}")
    if path.suffix == ".npz":
        names = read_arrays(path, ())[1]
        if len(names) != 1:
            raise ParameterError(f"{path} has arrays {', '.join(names)}, must have one")
        return read_arrays(path, names)[0][names[0]]
    with refusing(path, "is no array of numbers"):
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        return np.loadtxt(
            io.StringIO(read_text(path)), delimiter="," if path.suffix == ".csv" else None
        )
