"""Occlusion by its definition, sample by sample."""

from __future__ import annotations

import torch
from torch import Tensor


def occlude(
    patch: Tensor,
    content: Tensor,
    segment: Tensor,
    keep: Tensor,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """out[e, s, c] = ((keep[s, segment[c]] ? patch[e, c] : content[e, c]) - shift) * scale."""
    rows = [torch.where(row[segment.long()], patch, content.expand_as(patch)) for row in keep]
    out = torch.stack(rows, 1) if rows else (patch + content)[:, None][:, :0]
    wide = torch.float64 if patch.dtype == torch.float64 else torch.float32
    if shift is not None or scale is not None or dtype not in (None, patch.dtype):
        out = out.to(wide)
    if shift is not None:
        out = out - shift.to(wide)
    if scale is not None:
        out = out * scale.to(wide)
    return out.to(dtype or patch.dtype)
