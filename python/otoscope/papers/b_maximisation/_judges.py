"""Models that judge whether a sound is sung, and how well their scores part two sets."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.interval import Interval
from otoscope.protocols import evaluating
from otoscope.protocols.calls import call_model
from otoscope.seeds import numpy_generator
from otoscope.workflows.recording import load_identified_listener

__all__ = ["Judge", "auc_interval", "vocal_columns"]


class Judge:
    """A model that hears whether a sound is sung: its detector's output, or its vocal tags."""

    def __init__(self, name: str, device: str) -> None:
        self.model, self.identity = load_identified_listener(name, device=device)
        self._columns = vocal_columns(name, self.model.output_names)

    def __call__(self, y: Tensor, rate: float) -> float:
        """Return the largest probability of the outputs that mean singing."""
        model = self.model
        samples = getattr(model, "excerpt_samples", model.patch_frames * model.hop_length)
        need = int(np.ceil(samples * rate / model.sample_rate)) + round(0.1 * rate)
        repeated = y.repeat(-(-need // len(y)))[:need]
        patch = model.patch((repeated.float(), rate))
        with torch.no_grad(), evaluating(model):
            outputs = call_model(model, patch.values[None, None])[0]
        return float(outputs[self._columns].max())


def vocal_columns(model: str, names: Sequence[str]) -> list[int]:
    """Find the outputs that mean singing: "singing", or tags of voices but those that deny them.

    Parameters
    ----------
    model : str
        Name of the model, for the error.
    names : sequence of str
        Names of its outputs.

    Returns
    -------
    list of int
        Their places.

    Raises
    ------
    ParameterError
        If there is none.

    Examples
    --------
    >>> vocal_columns("tagger", ["guitar", "female vocal", "no voice", "singing"])
    [1, 3]
    """
    columns = [
        i
        for i, name in enumerate(names)
        if re.search(r"vocal|voice|sing", name.lower()) and not name.lower().startswith("no ")
    ]
    if not columns:
        raise ParameterError(f"{model} has no output for singing: {', '.join(names[:8])}")
    return columns


def auc_interval(
    more: Sequence[float], less: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Compute the probability that a score of one set is above one of another, with its interval.

    Parameters
    ----------
    more, less : sequence of float
        Scores, one or more each; ties count half.
    resamples : int
        Number of bootstrap samples, which draw both sets anew.
    seed : int
        Random seed.

    Returns
    -------
    Interval
        Area under the ROC curve, with percentile bounds of 95 %.

    Examples
    --------
    >>> auc_interval([0.9, 0.8], [0.1, 0.85]).value
    0.75
    """
    a, b = (np.asarray(scores, dtype=np.float64) for scores in (more, less))
    above = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    rng = numpy_generator(seed)
    draws = [
        above[rng.integers(len(a), size=len(a))][:, rng.integers(len(b), size=len(b))].mean()
        for _ in range(resamples)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(above.mean()), float(low), float(high), 0.95)
