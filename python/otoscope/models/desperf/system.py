"""DeSPerF: a deep network on spectral periodicity features, which paper C takes apart.

Sounds are cut into segments; each becomes the mean distance of its timbre to itself at each lag
(`otoscope.signal.rhythm.SpectralPeriodicity`), and a network of equal hidden layers answers for it.
A recording's answer is the sum, or the majority, of those of its segments.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.empty import empty
from otoscope.protocols.listening import require_distinct
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity

__all__ = ["DeSPerF"]

_UNITS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


class DeSPerF(nn.Module):
    """Classify the rhythm of sounds: [batch, sample] to posteriors [batch, label].

    Parameters
    ----------
    output_names : sequence of str
        Names of the labels, two at least.
    feature : SpectralPeriodicity or mapping, optional
        Feature of a segment, or its settings.
    segment : float
        Length of a segment, in seconds; a shorter sound that holds the longest lag is one segment.
    hop : float, optional
        From one segment to the next, in seconds. Default: ``segment``.
    hidden : sequence of int
        Units of each hidden layer.
    unit : {"relu", "sigmoid"}
        Kind of the hidden units.
    dropout : float
        Fraction of each hidden layer's outputs that is dropped while training, in [0, 1).
    vote : {"sum", "majority"}
        How segments decide for a sound: mean posterior, or fraction of the segments whose highest
        posterior a label has.
    mean, std : Tensor [lag], optional
        Standardisation of the features. Default: none.
    seed : int or None
        Random seed of the initial weights; biases start at 0. None leaves the weights without
        values, for a state that is loaded next.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    Notes
    -----
    None of the sizes is known to be the published system's.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`; Pikrakis (2013).

    Examples
    --------
    >>> system = DeSPerF(["Rumba", "Waltz"], feature=SpectralPeriodicity(8000, hop_length=160))
    >>> system.eval()(torch.zeros(3, 8 * 8000)).shape
    torch.Size([3, 2])
    """

    mean: Tensor
    std: Tensor
    outputs = "probabilities"

    def __init__(  # noqa: PLR0913 - the facts of a system, all keyword-only
        self,
        output_names: Sequence[str],
        *,
        feature: SpectralPeriodicity | Mapping[str, Any] | None = None,
        segment: float = 10.0,
        hop: float | None = None,
        hidden: Sequence[int] = (200, 200, 200),
        unit: Literal["relu", "sigmoid"] = "relu",
        dropout: float = 0.0,
        vote: Literal["sum", "majority"] = "sum",
        mean: Tensor | None = None,
        std: Tensor | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        self.output_names, self.hidden = tuple(output_names), tuple(hidden)
        require_distinct("output_names", self.output_names)
        if isinstance(feature, Mapping):
            feature = SpectralPeriodicity(**feature)
        self.feature = feature or SpectralPeriodicity()
        self.segment, self.hop, self.unit = segment, segment if hop is None else hop, unit
        self.dropout, self.vote = dropout, vote
        self._check()
        n_lags = self.feature.n_lags - 1
        for name, value, neutral in (("mean", mean, 0.0), ("std", std, 1.0)):
            values = torch.full((n_lags,), neutral) if value is None else value
            if values.shape != (n_lags,):
                raise ParameterError(f"{name} has shape {tuple(values.shape)}, must be [{n_lags}]")
            self.register_buffer(name, values.float())
        if not bool((self.std > 0).all()):
            raise ParameterError("std has values that are not > 0")
        layers, width = OrderedDict[str, nn.Module](), n_lags
        for number, units in enumerate(self.hidden, 1):
            drop = [nn.Dropout(dropout)] if dropout and number > 1 else []
            layers[f"hidden{number}"] = nn.Sequential(
                *drop, empty(nn.Linear, width, units), _UNITS[unit]()
            )
            width = units
        layers["logits"] = empty(nn.Linear, width, len(self.output_names))
        self.network = nn.Sequential(layers)
        if seed is not None:
            _initialise(self.network, unit, seed)

    def _check(self) -> None:
        least = self.feature.min_samples / self.sample_rate
        if len(self.output_names) < 2:
            raise ParameterError(f"output_names are {self.output_names}, must be two at least")
        if not self.segment >= least:
            raise ParameterError(
                f"segment is {self.segment} s, must hold the longest lag: >= {least:g} s"
            )
        if not 0 < self.hop <= self.segment:
            raise ParameterError(f"hop is {self.hop} s, must be in (0, {self.segment:g}]")
        if self.hop * self.sample_rate < 1:
            raise ParameterError(f"hop is {self.hop} s, less than a sample")
        if not self.hidden or min(self.hidden) < 1:
            raise ParameterError(f"hidden is {self.hidden}, must be one or more numbers >= 1")
        if self.unit not in _UNITS or self.vote not in ("sum", "majority"):
            raise ParameterError(
                f"unit is {self.unit!r} and vote {self.vote!r}; must be 'relu' or 'sigmoid', and "
                "'sum' or 'majority'"
            )
        if not 0 <= self.dropout < 1:
            raise ParameterError(f"dropout is {self.dropout}, must be in [0, 1)")

    @property
    def sample_rate(self) -> int:
        """Sample rate of its sounds, in Hz."""
        return self.feature.sample_rate

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments that build the same system, for a bundle."""
        names = ("output_names", "segment", "hop", "hidden", "unit", "dropout", "vote")
        return {"feature": asdict(self.feature), **{name: getattr(self, name) for name in names}}

    def segments(self, y: Tensor) -> Tensor:
        """Cut sounds [..., sample] into segments [..., segment, sample].

        Raises
        ------
        ParameterError
            If a sound is too short for the longest lag.
        """
        least = math.ceil(self.feature.min_samples)
        if y.shape[-1] < least:
            raise ParameterError(
                f"the sound lasts {y.shape[-1] / self.sample_rate:.2f} s; a lag of "
                f"{self.feature.max_lag:g} s needs {least / self.sample_rate:.2f} s"
            )
        length = min(round(self.segment * self.sample_rate), y.shape[-1])
        return y.unfold(-1, length, round(self.hop * self.sample_rate))

    def features(self, y: Tensor) -> Tensor:
        """Compute the features [..., segment, lag] of sounds [..., sample], not standardised."""
        return self.feature(self.segments(y)).float()

    def decisions(self, features: Tensor) -> Tensor:
        """Compute the logits [..., segment, label] of features [..., segment, lag]."""
        logits: Tensor = self.network((features - self.mean) / self.std)
        return logits

    def decide(self, logits: Tensor) -> Tensor:
        """Let segments vote: logits [..., segment, label] to posteriors [..., label]."""
        if self.vote == "sum":
            return logits.softmax(-1).mean(-2)
        votes = F.one_hot(logits.argmax(-1), len(self.output_names))
        return votes.to(logits).mean(-2)

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the posteriors [batch, label] of sounds [batch, sample]."""
        return self.decide(self.decisions(self.features(batch)))


def _initialise(network: nn.Module, unit: str, seed: int) -> None:
    """Draw weights: for rectifiers as He et al. (2015), else as Glorot and Bengio (2010) do."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif unit == "relu":
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.xavier_uniform_(parameter, generator=generator)
