"""Generator of log-mel excerpts and its critic, the prior of paper B.

A network of transposed convolutions makes excerpts of latents, and the critic, which is trained
with it, compares them with real ones. Excerpts are not standardised: [batch, 1, frame, mel], with
digital silence as the least value.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.empty import empty

__all__ = ["MelCritic", "MelGenerator"]

_SLOPE = 0.2  # of the leaky rectifiers
_HALVINGS = 4  # layers with stride 2: 80 bands are 5 in the smallest map
_WIDTHS = (128, 64, 32, 16, 8)  # of the generator; those of the critic are 32 to 256
_STRIDE = 2**_HALVINGS


class MelGenerator(nn.Module):
    """Make log-mel excerpts of latents; 932,801 parameters at the paper's size.

    Parameters
    ----------
    n_frames, n_mels : int
        Size of an excerpt, >= 1; the paper's is 115 frames of 80 bands.
    shrink : {1, 2, 4, 8}
        Divisor of the number of channels of every layer: 1 is the paper's network, 4 leaves
        182,201 parameters.
    floor : float
        Least value, that of digital silence; by default ln 1e-7.
    seed : int or None
        Random seed of the initial weights, uniform by Glorot's rule; biases start at 0. None leaves
        the weights without values, for a state that is loaded next.

    Raises
    ------
    ParameterError
        If a size is below 1, ``shrink`` is not in the list, or ``floor`` is not finite.

    Notes
    -----
    A dense layer of the latent [batch, 128] gives a map of 128 channels, 8 frames and 5 bands; four
    transposed convolutions, 5 x 5 with stride 2, double both axes and halve the channels; a last
    convolution, 5 x 5, gives one channel without a rectifier. Of 128 frames, the first 6 and the
    last 7 are cut off. There are no normalisation layers.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`, section 2.

    Examples
    --------
    >>> MelGenerator()(torch.zeros(2, 128)).shape
    torch.Size([2, 1, 115, 80])
    """

    latent_size = 128
    """Numbers of a latent."""

    def __init__(
        self,
        n_frames: int = 115,
        n_mels: int = 80,
        *,
        shrink: int = 1,
        floor: float = math.log(1e-7),
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        _check(n_frames, n_mels, shrink)
        if not abs(floor) <= torch.finfo(torch.float32).max:
            raise ParameterError(f"floor is {floor}, must be finite in float32")
        self.n_frames, self.n_mels, self.shrink, self.floor = n_frames, n_mels, shrink, floor
        widths = [width // shrink for width in _WIDTHS]
        self._smallest = (widths[0], *_smallest(n_frames, n_mels))
        self.dense = empty(nn.Linear, self.latent_size, math.prod(self._smallest))
        self.ups = nn.ModuleList(
            empty(nn.ConvTranspose2d, n_in, n_out, 5, stride=2, padding=1)
            for n_in, n_out in pairwise(widths)
        )
        self.output = empty(nn.Conv2d, widths[-1], 1, 5, padding=2)
        _initialise(self, seed)

    @property
    def settings(self) -> dict[str, int | float]:
        """Arguments that build the same network, for a bundle."""
        names = ("n_frames", "n_mels", "shrink", "floor")
        return {name: getattr(self, name) for name in names}

    def forward(self, latent: Tensor) -> Tensor:
        """Make excerpts [batch, 1, frame, mel] of latents [batch, 128]."""
        x = F.leaky_relu(self.dense(latent), _SLOPE).unflatten(1, self._smallest)
        for up in self.ups:  # the last row and column make the size odd: [2 n + 1] without them
            x = F.leaky_relu(up(x)[..., :-1, :-1], _SLOPE)
        x = self.output(x).clamp(min=self.floor)
        (first, n_frames), (low, n_mels) = (
            (_margin(size)[0], size) for size in (self.n_frames, self.n_mels)
        )
        excerpts: Tensor = x[..., first : first + n_frames, low : low + n_mels]
        return excerpts


class MelCritic(nn.Module):
    """Compare excerpts with real ones: one number each; 1,086,720 parameters at the paper's size.

    Parameters
    ----------
    n_frames, n_mels : int
        Size of an excerpt, >= 1.
    shrink : {1, 2, 4, 8}
        Divisor of the number of channels of every layer.
    seed : int or None
        Random seed of the initial weights, as of `MelGenerator`.

    Raises
    ------
    ParameterError
        If a size is below 1, or ``shrink`` is not in the list.

    Notes
    -----
    115 frames are filled up to 128 with 0, 6 before and 7 after: 0 of log-mel values, which is
    loud, not silence. Four convolutions, 5 x 5 with stride 2, and a dense layer without bias.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`, section 2.

    Examples
    --------
    >>> MelCritic()(torch.zeros(2, 1, 115, 80)).shape
    torch.Size([2])
    """

    def __init__(
        self, n_frames: int = 115, n_mels: int = 80, *, shrink: int = 1, seed: int | None = 0
    ) -> None:
        super().__init__()
        _check(n_frames, n_mels, shrink)
        widths = [1, *(width // shrink for width in (32, 64, 128, 256))]
        self._padding = (*_margin(n_mels), *_margin(n_frames))
        self.downs = nn.ModuleList(
            empty(nn.Conv2d, n_in, n_out, 5, stride=2) for n_in, n_out in pairwise(widths)
        )
        size = widths[-1] * math.prod(_smallest(n_frames, n_mels))
        self.dense = empty(nn.Linear, size, 1, bias=False)
        _initialise(self, seed)

    def forward(self, excerpts: Tensor) -> Tensor:
        """Compute the critic's numbers [batch] of excerpts [batch, 1, frame, mel]."""
        x = F.pad(excerpts, self._padding)
        for down in self.downs:
            x = F.leaky_relu(down(F.pad(x, (1, 2, 1, 2))), _SLOPE)
        scores: Tensor = self.dense(x.flatten(1))[:, 0]
        return scores


def _check(n_frames: int, n_mels: int, shrink: int) -> None:
    if n_frames < 1 or n_mels < 1:
        raise ParameterError(f"n_frames is {n_frames} and n_mels {n_mels}, must be >= 1")
    if shrink not in (1, 2, 4, 8):
        raise ParameterError(f"shrink is {shrink}, must be 1, 2, 4 or 8")


def _smallest(n_frames: int, n_mels: int) -> tuple[int, int]:
    """Return the size of the smallest map, frames and bands."""
    return math.ceil(n_frames / _STRIDE), math.ceil(n_mels / _STRIDE)


def _margin(size: int) -> tuple[int, int]:
    """Return the cells beyond both ends of an axis, up to a multiple of 16: (6, 7) of 115."""
    beyond = -size % _STRIDE
    return beyond // 2, beyond - beyond // 2


def _initialise(network: nn.Module, seed: int | None) -> None:
    """Draw weights by Glorot's rule; biases are 0."""
    if seed is None:
        return
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.xavier_uniform_(parameter, generator=generator)
