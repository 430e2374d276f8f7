"""Genre classifiers that paper E attacks: a network of frames, one of windows of 100 frames.

Their input is standardised magnitudes of the spectrum (`otoscope.signal.magnitude_spectrum`). Each
answers for its frame, or window; a sound's answer is the sum, or the majority, of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.empty import empty
from otoscope.signal import excerpts

__all__ = ["ConvDNN", "FrameDNN", "OnSpectra"]

_WINDOW = 100  # frames


class FrameDNN(nn.Module):
    """Three hidden layers of rectifiers, for one frame at a time.

    Parameters
    ----------
    n_labels : int
        Number of labels, >= 2.
    n_bins : int
        Number of bins of a frame.
    hidden : int
        Units of a hidden layer; the paper's are 50 and 500.
    dropout : bool
        Keep three quarters of the inputs of the second and third hidden layer and of the output,
        while training.
    seed : int or None
        Random seed of the initial weights; biases start at 0. None leaves the weights without
        values, for a state that is loaded next.

    Raises
    ------
    ParameterError
        If a number is too small.

    Notes
    -----
    ``kept`` [bin] is 0 for bins that are dropped since they hardly vary, else 1.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> net = FrameDNN(10).eval()
    >>> net(torch.zeros(2, 1, 40, 513)).shape, net.frames(torch.zeros(7, 513)).shape
    (torch.Size([2, 10]), torch.Size([7, 10]))
    """

    kept: Tensor
    window = 1
    """Frames of a decision."""

    def __init__(
        self,
        n_labels: int,
        *,
        n_bins: int = 513,
        hidden: int = 50,
        dropout: bool = False,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        _check(n_labels=(n_labels, 2), n_bins=(n_bins, 1), hidden=(hidden, 1))
        self.n_labels, self.n_bins = n_labels, n_bins
        self.hidden, self.dropout = hidden, dropout
        self.register_buffer("kept", torch.ones(n_bins))
        drop = nn.Dropout(0.25 if dropout else 0.0)
        self.hidden1 = nn.Sequential(empty(nn.Linear, n_bins, hidden), nn.ReLU())
        self.hidden2 = nn.Sequential(drop, empty(nn.Linear, hidden, hidden), nn.ReLU())
        self.hidden3 = nn.Sequential(drop, empty(nn.Linear, hidden, hidden), nn.ReLU())
        self.logits = nn.Sequential(drop, empty(nn.Linear, hidden, n_labels))
        _initialise(self, seed)

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments that build the same network, for a bundle."""
        names = ("n_labels", "n_bins", "hidden", "dropout")
        return {name: getattr(self, name) for name in names}

    def activations(self, values: Tensor) -> Tensor:
        """Compute the activations of all hidden layers, [..., 3 * hidden], of frames [..., bin]."""
        first = self.hidden1(values * self.kept)
        second = self.hidden2(first)
        return torch.cat([first, second, self.hidden3(second)], -1)

    def frames(self, values: Tensor) -> Tensor:
        """Compute the logits [..., label] of frames [..., bin]."""
        x = self.hidden3(self.hidden2(self.hidden1(values * self.kept)))
        outputs: Tensor = self.logits(x)
        return outputs

    def decisions(self, values: Tensor, hop: int | None = None) -> Tensor:
        """Compute the logits [batch, decision, label] of spectra [batch, frame, bin]."""
        return self.frames(values[:, :: hop or 1])

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the mean posterior [batch, label] of excerpts [batch, 1, frame, bin]."""
        return self.frames(batch[:, 0]).softmax(-1).mean(1)


class ConvDNN(nn.Module):
    """Two layers of convolution and one of rectifiers, for windows of 100 frames.

    Parameters
    ----------
    n_labels : int
        Number of labels, >= 2.
    n_bins : int
        Number of bins of a frame, 513 in the paper; the first filters have 400 of 513.
    channels, hidden : int
        Filters of each convolution, and units of the last hidden layer.
    seed : int or None
        As in `FrameDNN`.

    Raises
    ------
    ParameterError
        If a number is too small.

    Notes
    -----
    Sizes: 100 x 513, conv1 97 x 114 (filters 4 x 400), pool1 48 x 56, conv2 41 x 49 (8 x 8), pool2
    20 x 24, dense 50. Pools are 4 x 4 with stride 2, the last one at an edge as far as it goes.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> ConvDNN(10).eval()(torch.zeros(2, 1, 100, 513)).shape
    torch.Size([2, 10])
    """

    kept: Tensor
    window = _WINDOW

    def __init__(
        self,
        n_labels: int,
        *,
        n_bins: int = 513,
        channels: int = 32,
        hidden: int = 50,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        _check(n_labels=(n_labels, 2), channels=(channels, 1), hidden=(hidden, 1))
        width = round(400 * n_bins / 513)
        height, places = _WINDOW, n_bins
        for kernel in ((4, width), (8, 8)):
            height, places = (
                -(-(size - k + 1 - 4) // 2) + 1
                for size, k in zip((height, places), kernel, strict=True)
            )
        if places < 1:
            raise ParameterError(f"n_bins is {n_bins}: too few for two layers of convolution")
        self.n_labels, self.n_bins, self.channels, self.hidden = n_labels, n_bins, channels, hidden
        self.register_buffer("kept", torch.ones(n_bins))
        self.conv1 = nn.Sequential(empty(nn.Conv2d, 1, channels, (4, width)), nn.ReLU())
        self.pool1 = nn.MaxPool2d(4, 2, ceil_mode=True)
        self.conv2 = nn.Sequential(empty(nn.Conv2d, channels, channels, 8), nn.ReLU())
        self.pool2 = nn.Sequential(nn.MaxPool2d(4, 2, ceil_mode=True), nn.Flatten())
        self.dense = nn.Sequential(empty(nn.Linear, channels * height * places, hidden), nn.ReLU())
        self.logits = empty(nn.Linear, hidden, n_labels)
        _initialise(self, seed)

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments that build the same network, for a bundle."""
        names = ("n_labels", "n_bins", "channels", "hidden")
        return {name: getattr(self, name) for name in names}

    def windows(self, values: Tensor) -> Tensor:
        """Compute the logits [window, label] of windows [window, 1, 100, bin]."""
        x = self.pool1(self.conv1(values * self.kept))
        outputs: Tensor = self.logits(self.dense(self.pool2(self.conv2(x))))
        return outputs

    def decisions(self, values: Tensor, hop: int | None = None) -> Tensor:
        """Compute the logits [batch, decision, label] of spectra [batch, frame, bin]."""
        hop = hop or _WINDOW
        windows = torch.stack([excerpts.sliding(row, _WINDOW, hop=hop) for row in values])
        outputs = self.windows(windows.flatten(0, 1)[:, None])
        return outputs.view(*windows.shape[:2], -1)

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the posterior [batch, label] of windows [batch, 1, 100, bin]."""
        return self.windows(batch).softmax(-1)


class OnSpectra(nn.Module):
    """Decisions of a genre classifier, as a function of magnitudes: what paper E attacks.

    Parameters
    ----------
    network : FrameDNN or ConvDNN
        Network.
    mean, std : Tensor [bin]
        Standardisation.
    output_names : sequence of str
        Names of the labels.
    hop : int, optional
        Frames from one decision to the next. Default: adjacent ones.

    Examples
    --------
    >>> from otoscope.attack import SpectrumClassifier
    >>> spectra = OnSpectra(FrameDNN(2), torch.zeros(513), torch.ones(513), ["a", "b"])
    >>> SpectrumClassifier(spectra)(torch.zeros(1, 2048)).shape
    torch.Size([1, 3, 2])
    """

    mean: Tensor
    std: Tensor
    outputs = "logits"

    def __init__(
        self,
        network: FrameDNN | ConvDNN,
        mean: Tensor,
        std: Tensor,
        output_names: Sequence[str],
        *,
        hop: int | None = None,
    ) -> None:
        super().__init__()
        self.network, self.hop = network, hop
        self.output_names = tuple(output_names)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Compute the logits [batch, decision, label] of magnitudes [batch, frame, bin].

        Raises
        ------
        ParameterError
            If there are fewer frames than a decision needs.
        """
        if magnitudes.shape[1] < self.network.window:
            raise ParameterError(
                f"the sound has {magnitudes.shape[1]} frames; the network hears "
                f"{self.network.window} at once"
            )
        values = (magnitudes - self.mean.to(magnitudes)) / self.std.to(magnitudes)
        return self.network.decisions(values, self.hop)


def _check(**numbers: tuple[int, int]) -> None:
    for name, (value, least) in numbers.items():
        if value < least:
            raise ParameterError(f"{name} is {value}, must be >= {least}")


def _initialise(network: nn.Module, seed: int | None) -> None:
    """Draw weights as He et al. (2015) do for rectifiers."""
    if seed is None:
        return
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
