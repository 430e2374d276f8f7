"""Doubt: how far the distances of settings depend on the seeds that were searched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.seeds import torch_generator

__all__ = ["SettingIntervals", "setting_intervals"]

_AT_ONCE = 200  # bootstrap samples


@dataclass(frozen=True, eq=False)
class SettingIntervals:
    """Hold the distances of settings to real excerpts, with bootstrap intervals over seeds.

    Parameters
    ----------
    distance : Tensor [setting], float64
        Frechet distance of a setting's activations to the real ones; NaN if a seed has none.
    low, high : Tensor [setting], float64
        Bounds of the interval.
    is_tied : Tensor [setting], bool
        True where the distance cannot be told apart from the smallest one; also for that itself.

    Examples
    --------
    >>> made = torch.tensor([[1.0, 2.0, 3.0], [9.0, 8.0, 7.0]])
    >>> setting_intervals(torch.tensor([1.0, 2.0, 3.0]), made).is_tied
    tensor([ True, False])
    """

    distance: Tensor
    low: Tensor
    high: Tensor
    is_tied: Tensor


def setting_intervals(
    real: Tensor, made: Tensor, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> SettingIntervals:
    """Compute bootstrap intervals, over seeds, of the distances of settings to real excerpts.

    Parameters
    ----------
    real : Tensor [excerpt]
        Activations by real excerpts, two or more, finite.
    made : Tensor [setting, seed]
        Best activations of each setting, one per seed, two or more; seed i begins with the same
        latent in every setting.
    level : float
        Confidence level, in (0, 1).
    resamples : int
        Number of bootstrap samples, >= 20.
    seed : int
        Random seed of the samples.

    Returns
    -------
    SettingIntervals
        Percentile intervals. A setting is tied with the best one if the interval of the difference
        of their distances holds 0, at a level that is shared by all these comparisons (Bonferroni).

    Raises
    ------
    ParameterError
        If the shapes do not fit, a real activation is not finite, or a setting is out of range.

    Notes
    -----
    Each sample draws seeds with replacement, the same ones for all settings, since these begin with
    the same latents; the real side is held. Settings with a NaN have no distance and no tie. An
    interval is of the distance at this number of seeds, which is larger than that of endlessly many
    where both are near 0. Of simulated normal activations it holds that in 93 to 99 % with 50
    seeds, 91 to 98 % with 10 or 20, and 82 to 90 % with 5.

    References
    ----------
    Davison and Hinkley (1997) :cite:`davison1997`, section 5.3.

    Examples
    --------
    >>> real, made = torch.arange(50.0), torch.arange(50.0).repeat(2, 1)
    >>> setting_intervals(real, made).distance
    tensor([0., 0.], dtype=torch.float64)
    """
    if real.ndim != 1 or len(real) < 2 or made.ndim != 2 or made.shape[1] < 2:
        raise ParameterError(
            f"real has shape {tuple(real.shape)} and made {tuple(made.shape)}; must be [excerpt] "
            "and [setting, seed], two excerpts and seeds or more"
        )
    if not bool(real.isfinite().all()):
        raise ParameterError("real has NaN or infinity, must be finite")
    if not 0 < level < 1 or resamples < 20:
        raise ParameterError(f"level is {level}, resamples {resamples}; must be in (0, 1), >= 20")
    real, made = real.double().cpu(), made.double().cpu()
    distance = _distances(real, made)
    seeds = torch.randint(
        made.shape[1], (resamples, made.shape[1]), generator=torch_generator(seed)
    )
    drawn = torch.cat(
        [_distances(real, made[:, part].transpose(0, 1)) for part in seeds.split(_AT_ONCE)]
    )
    tail = (1 - level) / 2
    low, high = torch.quantile(drawn, torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0)
    is_tied = torch.zeros(len(made), dtype=torch.bool)
    if bool(distance.isfinite().any()):
        best = int(distance.nan_to_num(torch.inf).argmin())
        tail /= max(1, int(distance.isfinite().sum()) - 1)
        difference = drawn - drawn[:, best, None]
        is_tied = torch.quantile(difference, tail, dim=0) <= 0
        is_tied[best] = True
    return SettingIntervals(distance, low, high, is_tied)


def _distances(real: Tensor, made: Tensor) -> Tensor:
    """Return the one-dimensional Frechet distances [...] of activations [..., seed]."""
    (s_r, m_r), (s_g, m_g) = (torch.std_mean(x, -1, correction=1) for x in (real, made))
    return (m_r - m_g) ** 2 + (s_r - s_g) ** 2
