"""Outputs of a model over a whole sound, one row per position of its excerpt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError, require_integer
from otoscope.protocols import (
    ListeningModel,
    Rows,
    call_model,
    choose_targets,
    device_of,
    evaluating,
)
from otoscope.protocols.listening import CONTEXT, depends_on_clip, excerpts_alone
from otoscope.protocols.signature import with_remedy
from otoscope.signal.audio.files import LONG
from otoscope.signal.excerpts import pad, sliding

__all__ = ["Timeline", "timeline"]

_BLOCK = 30.0  # seconds of a long sound that are evaluated at once
_MARGIN = 1.0  # more than any window


class Samples(Protocol):
    """Samples in memory or on disk; a slice is a Tensor [sample]."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, part: Any, /) -> Tensor:
        """Return a slice."""
        ...


@dataclass(frozen=True, eq=False)
class Timeline:
    """Outputs of a model over time.

    Parameters
    ----------
    starts : Tensor [excerpt], float64
        Start of each excerpt in seconds; negative in the padding.
    outputs : Tensor [excerpt, output]
        Outputs for each excerpt, on the CPU.
    duration : float
        Duration of an excerpt in seconds.

    Examples
    --------
    >>> Timeline(torch.tensor([0.0, 1.0]), torch.zeros(2, 1), duration=3.0).centres
    tensor([1.5000, 2.5000])
    """

    starts: Tensor
    outputs: Tensor
    duration: float

    @property
    def centres(self) -> Tensor:
        """Centre of each excerpt: Tensor [excerpt], seconds."""
        return self.starts + self.duration / 2


def timeline(
    model: ListeningModel,
    y: Samples,
    *,
    hop: int = 1,
    padded: bool = False,
    max_batch: int = 64,
) -> Timeline:
    """Evaluate a model on all excerpts of a sound.

    Parameters
    ----------
    model : ListeningModel
        Model to evaluate.
    y : Tensor [sample], or samples on disk
        Waveform at the model's ``sample_rate``. More than ten minutes are evaluated in blocks,
        each with 15 s of context.
    hop : int
        Frames from one excerpt to the next, >= 1.
    padded : bool
        Add half an excerpt of silence (the normalised floor) at each end. The outputs are then
        centred, one per ``hop`` frames, as in Schlueter and Grill (2015).
    max_batch : int
        Excerpts per forward pass.

    Returns
    -------
    Timeline
        Starts and outputs of the excerpts, and their duration.

    Raises
    ------
    ParameterError
        If ``hop`` is below 1, the sound is shorter than an excerpt and not padded, or the model
        returns more or fewer outputs than it names.

    Examples
    --------
    >>> from otoscope.models import load
    >>> timeline(load("synth-singing"), torch.zeros(44100), hop=20).outputs.shape
    torch.Size([2, 1])
    """
    require_integer("hop", hop, least=1)
    require_integer("max_batch", max_batch, least=1)
    length, frame_duration = model.patch_frames, model.hop_length / model.sample_rate
    before = length // 2 if padded else 0
    pads = (before, length - 1 - before) if padded else (0, 0)
    rows = Rows(partial(_outputs, model), "an excerpt")
    with torch.no_grad(), evaluating(model):
        if len(y) <= LONG * model.sample_rate or depends_on_clip(model):
            outputs = rows(_excerpts(model, y[:], hop, pads), max_batch)
        else:
            n_rows, most = 0, (len(y) // model.hop_length + sum(pads)) // hop + 1
            for part, ends, own in _parts(model, y, hop, pads):
                new = rows(_excerpts(model, part, hop, ends), max_batch)[own]
                if n_rows == 0:  # one table: small ones that stay would break up what is freed
                    outputs = new.new_empty(most, new.shape[1])
                outputs[n_rows : n_rows + len(new)] = new
                n_rows += len(new)
            outputs = outputs[:n_rows]
    choose_targets(0, outputs.shape[1], model.output_names)  # as many names as outputs
    first = torch.arange(len(outputs), dtype=torch.float64) * hop - before
    return Timeline(first * frame_duration, outputs, length * frame_duration)


def _outputs(model: ListeningModel, batch: Tensor) -> Tensor:
    try:
        return call_model(model, batch).cpu()
    except ParameterError as err:
        raise with_remedy(err, model, batch) from err.__cause__


def _parts(
    model: ListeningModel, y: Samples, hop: int, pads: tuple[int, int]
) -> Iterator[tuple[Tensor, tuple[int, int], slice]]:
    """Cut a long sound in blocks, each with its context and the frames of silence at its ends.

    The slice says which excerpts are the block's own.

    A block begins with an excerpt of the whole timeline, at frames -before + i * hop.
    """
    step, rate, n_frames = model.hop_length, model.sample_rate, len(y) // model.hop_length
    least = model.patch_frames * step / rate + _MARGIN
    block, context = (
        hop * math.ceil(seconds * rate / step / hop) for seconds in (_BLOCK, max(CONTEXT, least))
    )
    for begin in range(-pads[0], n_frames + 1, block):
        first = max(-pads[0], begin - context)
        end = (begin + block + model.patch_frames + context) * step
        part = y[max(0, first) * step : end].to(device_of(model))
        ends = max(0, -first), pads[1] if end >= len(y) else 0
        skipped = (begin - first) // hop
        yield part, ends, slice(skipped, skipped + block // hop)


def _excerpts(model: ListeningModel, y: Tensor, hop: int, pads: tuple[int, int]) -> Tensor:
    """Cut [excerpt, 1, frame, mel] from a sound with frames of silence before and after it."""
    is_alone = getattr(model, "per_excerpt", False)
    if any(pads) and (is_alone or model.domain is None):
        y = F.pad(y, (pads[0] * model.hop_length, pads[1] * model.hop_length))
    if is_alone:
        return excerpts_alone(model, y, hop=hop)[:, None]
    values = model.prepare(y)
    if any(pads) and model.domain is not None:
        values = pad(values, *pads, floor=model.domain.floor)
    return sliding(values, model.patch_frames, hop=hop)[:, None]
