"""Singing-voice detector of Schlueter and Grill (2015), which paper A explains.

The input is standardised log-mel excerpts [batch, 1, 115 frames, 80 mel]. Layers have the names of
the papers ("conv1", "pool6", "fc9" for the logit), for taps, maximisation and explanations.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from otoscope.errors import ParameterError
from otoscope.models.empty import empty
from otoscope.taps import Tap

__all__ = ["SVDNet"]


class SVDNet(nn.Sequential):
    """Convolutional singing-voice detector; 1,408,225 parameters with one output.

    Parameters
    ----------
    n_outputs : {1, 2}
        1: sigmoid, probability of singing. 2: softmax, index 0 non-vocal, 1 vocal.
    shrink : {1, 2, 4, 8, 16, 32}
        Divisor of the width of every hidden layer: 1 is the paper's network, 4 leaves 88,249
        parameters.
    seed : int or None
        Random seed of the orthogonal initial weights; biases start at 0. None leaves the weights
        without values, for a state that is loaded next.

    Raises
    ------
    ParameterError
        If ``n_outputs`` is neither 1 nor 2, or ``shrink`` does not divide the widths.

    Notes
    -----
    Layers: conv1, conv2, pool3, conv4, conv5, pool6, fc7, fc8 (each with LeakyReLU of slope 0.01),
    fc9 (logit) and probability; dropout of 0.5 before each dense layer in training.

    References
    ----------
    Schlüter and Grill (2015) :cite:`schlueter2015`, section 3.2.

    Examples
    --------
    >>> net = SVDNet().eval()
    >>> net(torch.zeros(2, 1, 115, 80)).shape
    torch.Size([2, 1])
    """

    def __init__(self, n_outputs: int = 1, *, shrink: int = 1, seed: int | None = 0) -> None:
        if n_outputs not in (1, 2):
            raise ParameterError(f"n_outputs is {n_outputs}, must be 1 (sigmoid) or 2 (softmax)")
        if shrink not in (1, 2, 4, 8, 16, 32):
            raise ParameterError(f"shrink is {shrink}, must be 1, 2, 4, 8, 16 or 32")
        w32, w64, w128, w256 = (width // shrink for width in (32, 64, 128, 256))
        super().__init__(
            OrderedDict(
                conv1=_convolution(1, w64),
                conv2=_convolution(w64, w32),
                pool3=nn.MaxPool2d(3),
                conv4=_convolution(w32, w128),
                conv5=_convolution(w128, w64),
                pool6=nn.Sequential(nn.MaxPool2d(3), nn.Flatten()),
                dropout7=nn.Dropout(0.5),
                fc7=_dense(w64 * 11 * 7, w256),
                dropout8=nn.Dropout(0.5),
                fc8=_dense(w256, w64),
                dropout9=nn.Dropout(0.5),
                fc9=empty(nn.Linear, w64, n_outputs),
                probability=nn.Sigmoid() if n_outputs == 1 else nn.Softmax(dim=1),
            )
        )
        self.n_outputs, self.shrink = n_outputs, shrink
        if seed is None:
            return
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.orthogonal_(parameter, generator=generator)

    @property
    def settings(self) -> dict[str, int]:
        """Arguments that build the same network, for a bundle."""
        return {"n_outputs": self.n_outputs, "shrink": self.shrink}

    def tap(self, layer: str) -> Tap:
        """Return a layer ("conv1" to "fc9", or "probability") as a function of the input.

        Examples
        --------
        >>> SVDNet().eval().tap("fc8")(torch.zeros(1, 1, 115, 80)).shape
        torch.Size([1, 64])
        """
        return Tap(self, layer)


def _convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(empty(nn.Conv2d, channels_in, channels_out, 3), nn.LeakyReLU(0.01))


def _dense(units_in: int, units_out: int) -> nn.Sequential:
    return nn.Sequential(empty(nn.Linear, units_in, units_out), nn.LeakyReLU(0.01))
