"""Excerpts of a sound that comes in blocks, as a model receives them; a few are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.protocols import device_of
from otoscope.protocols.listening import PADDED, depends_on_clip, excerpts_alone
from otoscope.signal.excerpts import sliding

__all__ = ["excerpt_batches"]


_BATCH = 16  # excerpts at once
_MARGIN = 1.0  # seconds around a piece: more than any window


def excerpt_batches(
    model: Any, blocks: Iterable[Tensor], *, hop: int, padded: bool | None = None
) -> Iterator[Tensor]:
    """Cut a sound into excerpts [batch, 1, frame, mel], each ``hop`` frames after the last.

    Each piece is transformed with enough sound on both sides that its frames equal those of the
    whole sound; of a model with ``per_excerpt``, each excerpt alone; where values depend on the
    loudest cell of the sound, the whole. ``padded`` fills up a sound shorter than an excerpt; None
    if the caller has no such setting.

    Raises
    ------
    ParameterError
        If the sound is shorter than an excerpt.
    """
    length, step = model.patch_frames, model.hop_length
    is_alone = getattr(model, "per_excerpt", False)
    margin = ceil(_MARGIN * model.sample_rate / step)
    n_batch_frames = (_BATCH - 1) * hop + length
    if depends_on_clip(model):
        blocks = [torch.cat(list(blocks))]
        n_batch_frames = len(blocks[0]) // step + 1  # never a piece: the rest is the whole
    sound, before = torch.zeros(0), 0  # frames in `sound` before the next excerpt
    n_samples = n_excerpts = 0
    for block in blocks:
        sound, n_samples = torch.cat([sound, block]), n_samples + len(block)
        while len(sound) >= (end := (before + n_batch_frames + margin) * step):
            yield _cut(model, sound[:end], before, hop)[:_BATCH]
            n_excerpts += _BATCH
            before += _BATCH * hop
            dropped = min(max(0, before - margin), len(sound) // step)
            sound, before = sound[dropped * step :], before - dropped
    rest = len(sound) - before * step
    if padded and n_excerpts == 0 and 0 < rest < (length + margin) * step:
        yield _cut(model, F.pad(sound, (0, (length + margin) * step)), 0, hop)[:1]
        return
    least = model.excerpt_samples if is_alone else (length - 1) * step
    parts = _cut(model, sound, before, hop).split(_BATCH) if rest >= least else ()
    for part in parts:
        n_excerpts += len(part)
        yield part
    if n_excerpts == 0:
        raise ParameterError(
            f"the sound lasts {n_samples / model.sample_rate:.2f} s, too short for an excerpt "
            f"of {length * step / model.sample_rate:.2f} s",
            advice=PADDED if padded is False else None,
        )


@torch.no_grad()
def _cut(model: Any, sound: Tensor, before: int, hop: int) -> Tensor:
    """Cut all excerpts [excerpt, 1, frame, mel] of a piece, from a frame on; perhaps none."""
    length, y = model.patch_frames, sound.to(device_of(model))
    if getattr(model, "per_excerpt", False):
        return excerpts_alone(model, y[before * model.hop_length :], hop=hop)[:, None]
    values: Tensor = model.prepare(y)[before:]
    if len(values) < length:
        return values.new_zeros(0, 1, length, values.shape[-1])
    return sliding(values, length, hop=hop)[:, None]
