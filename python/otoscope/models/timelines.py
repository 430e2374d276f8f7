"""Outputs of a model over a whole sound, one row per position of its excerpt."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.protocols import (
    ListeningModel,
    Rows,
    call_model,
    choose_targets,
    evaluating,
)
from otoscope.protocols.listening import excerpts_alone
from otoscope.signal.excerpts import pad, sliding

__all__ = ["Timeline", "timeline"]


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
    y: Tensor,
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
    y : Tensor [sample]
        Waveform at the model's ``sample_rate``.
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
    if hop < 1 or max_batch < 1:
        raise ParameterError(f"hop is {hop} and max_batch {max_batch}; both must be >= 1")
    length, frame_duration = model.patch_frames, model.hop_length / model.sample_rate
    with torch.no_grad(), evaluating(model):
        before = length // 2 if padded else 0
        if getattr(model, "per_excerpt", False) or (padded and model.domain is None):
            ends = (before * model.hop_length, (length - 1 - before) * model.hop_length)
            y = F.pad(y, ends) if padded else y
        if getattr(model, "per_excerpt", False):
            excerpts = excerpts_alone(model, y, hop=hop)
        else:
            values = model.prepare(y)
            if padded and model.domain is not None:
                values = pad(values, before, length - 1 - before, floor=model.domain.floor)
            excerpts = sliding(values, length, hop=hop)
        rows = Rows(lambda batch: call_model(model, batch).cpu(), "an excerpt")
        outputs = rows(excerpts[:, None], max_batch)
    choose_targets(0, outputs.shape[1], model.output_names)  # as many names as outputs
    first = torch.arange(len(outputs), dtype=torch.float64) * hop - before
    return Timeline(first * frame_duration, outputs, length * frame_duration)
