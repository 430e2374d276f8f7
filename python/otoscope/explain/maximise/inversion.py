"""Inversion: the inputs of a listening model as patches and sounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Domain

__all__ = ["Inversion"]

_LOUDEST = 1e8  # energies above it are turned down: the sound's level is set afterwards
_N_ITER = 100  # iterations of Griffin and Lim, as in the paper


@dataclass(frozen=True, eq=False)
class Inversion:
    """Turn inputs of a listening model into patches; into sounds, if ``front_end`` can invert.

    ``domain`` is None if the compression of the front end is not known.

    It holds no network, so that a result that is saved does not hold one either.
    """

    sr: float
    hop_length: int
    mel_hz: Tensor | None
    domain: Domain | None
    front_end: Any

    @classmethod
    def of(cls, model: Any) -> Inversion | None:
        """Take what is needed from a model; None if it is no listening model of spectrograms."""
        domain, front_end = getattr(model, "domain", None), getattr(model, "front_end", None)
        is_picture = isinstance(domain, Domain) or hasattr(model, "domain")
        if not is_picture or not hasattr(model, "sample_rate"):
            return None
        mel_hz = getattr(model, "mel_hz", None)
        can_invert = hasattr(front_end, "invert") and domain is not None
        return cls(
            model.sample_rate, model.hop_length, mel_hz, domain, front_end if can_invert else None
        )

    def sound(self, values: Tensor, *, seed: int) -> Tensor | None:
        """Invert values [frame, mel] by the Griffin-Lim algorithm; None if that cannot be done."""
        if self.front_end is None or self.domain is None:
            return None
        compression = self.domain.compression
        log_mel = self.domain.log_mel(values.cpu().double())
        loudest = compression.compress(torch.full((1, 1), _LOUDEST, dtype=torch.float64))
        log_mel = log_mel - (log_mel.max() - loudest).clamp(min=0)
        y: Tensor = self.front_end.invert(compression.expand(log_mel), n_iter=_N_ITER, seed=seed)
        return y

    def patch(self, values: Tensor, y: Tensor | None) -> Patch:
        """Make a patch of values [frame, mel] and their sound, at a peak of 0.99."""
        patch = Patch(
            values.cpu(),
            sr=self.sr,
            hop_length=self.hop_length,
            mel_hz=self.mel_hz,
            domain=self.domain,
        )
        if y is None:
            return patch
        peak = float(y.abs().max())
        return replace(patch, y=0.99 * y / peak if peak else y)
