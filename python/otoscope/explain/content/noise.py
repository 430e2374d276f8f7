"""Contents drawn from a normal distribution: one array for all samples, or one per sample."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content, Given, SoundSource, Space, register
from otoscope.protocols import Patch
from otoscope.seeds import item_seed

__all__ = ["fresh_noise", "noise"]


@register("noise")
def noise(seed: int = 0, level_db: float | None = None, *, space: Space = "log_mel") -> Content:
    """Occlude with one array of N(0, 1), the same for all samples and patches of a shape.

    As a sound: stationary noise with the spectrum of the sound, or white noise of a level.

    Parameters
    ----------
    seed : int
        Random seed of the array.
    level_db : float, optional
        For sounds only: level of white noise, in dB of its root mean square against full scale;
        -60 is hardly audible. By default the noise has the power spectrum of the sound itself.
    space : {"values", "log_mel", "mel"}
        Domain of the drawn numbers; the paper draws log-mel values and standardises them.

    Returns
    -------
    Content
        Values [frame, mel].

    Notes
    -----
    The paper's array came from another generator: the numbers differ, the distribution does not.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section IV.

    Examples
    --------
    >>> noise(3).seed
    3
    """

    if level_db is None:
        sound = partial(_surrogate, seed)
        return Content(
            "noise",
            partial(_drawn, seed),
            space,
            seed,
            sound=sound,
            sound_description="noise of the sound’s spectrum",
        )
    if not math.isfinite(level_db):
        raise ParameterError(f"level_db is {level_db}, must be finite")
    return Content(
        f"noise({seed}, {level_db:g})",
        partial(_no_level, level_db),
        space,
        seed,
        description=f"white noise of {level_db:g} dB",
        sound=partial(_white, seed, level_db),
    )


@register("noise")
def fresh_noise(
    seed: int = 0, *, loc: float = 0.0, scale: float = 1.0, space: Space = "values"
) -> Content:
    """Occlude with normal noise drawn for every sample; repeated coalitions are not merged.

    Parameters
    ----------
    seed : int
        Random seed of the stream.
    loc, scale : float
        Mean and standard deviation in ``space``.
    space : {"values", "log_mel"}
        Domain of the drawn numbers.

    Returns
    -------
    Content
        Noise drawn by the occlusion kernel. The stream restarts with each patch, so that an
        explanation does not depend on the other patches explained with it.

    Examples
    --------
    >>> fresh_noise(scale=0.5).name
    'fresh_noise'
    """
    return Content("fresh_noise", Given(ops.Noise(seed, loc, scale)), space, seed)


def _drawn(seed: int, patch: Patch, ids: Tensor) -> Tensor:
    return torch.randn(patch.values.shape, generator=torch.Generator().manual_seed(seed))


def _no_level(level_db: float, patch: Patch, ids: Tensor) -> Tensor:
    raise ParameterError(
        f"level_db is {level_db:g}, which noise in a sound has; leave it out for a spectrogram"
    )


def _surrogate(seed: int, source: SoundSource) -> Tensor:
    """Give each bin of the spectrum of the whole sound a random phase."""
    generator = torch.Generator().manual_seed(item_seed(seed, source.name))
    spectrum = torch.fft.rfft(source.y)
    phase = 2 * torch.pi * torch.rand(spectrum.shape, generator=generator, dtype=torch.float64)
    phase[..., 0] = 0
    if source.y.shape[-1] % 2 == 0:
        phase[..., -1] = 0
    noise: Tensor = torch.fft.irfft(spectrum.abs() * torch.exp(1j * phase), source.y.shape[-1])
    return noise


def _white(seed: int, level_db: float, source: SoundSource) -> Tensor:
    generator = torch.Generator().manual_seed(item_seed(seed, source.name))
    drawn = torch.randn(source.y.shape, generator=generator, dtype=torch.float64)
    scale: float = source.share**0.5 * 10 ** (level_db / 20)
    return drawn * scale
