"""Count, mean and scatter by their definition, and all half-precision numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def moments(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and scatter of rows in two passes, with the longest floats there are."""
    x = features.double().numpy().astype(np.longdouble)
    mean = x.mean(0) if len(x) else np.zeros(x.shape[1], np.longdouble)
    scatter = (x - mean).T @ (x - mean)
    return (
        torch.tensor(float(len(x)), dtype=torch.float64),
        torch.from_numpy(mean.astype(np.float64)),
        torch.from_numpy(scatter.astype(np.float64)),
    )


def half_values() -> np.ndarray[tuple[int], np.dtype[np.float16]]:
    """All 65,536 half-precision numbers."""
    return np.arange(65536, dtype=np.uint16).view(np.float16)
