"""Projected gradient descent on the waveform: adversaries that are sound to begin with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from otoscope.attack.base import Attack
from otoscope.attack.bounds import Bound
from otoscope.attack.model import unit
from otoscope.errors import ParameterError

__all__ = ["WaveformPGD"]


@dataclass(frozen=True, eq=False)
class WaveformPGD(Attack):
    """Projected gradient descent with an exact bound on the signal-to-noise ratio.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`.

    Parameters
    ----------
    norm : {"l2", "linf"}
        "l2": all differences of at least ``snr_db``. "linf": those whose samples are at most the
        sound's root mean square / 10^(snr_db / 20), so that ``snr_db`` holds as well.
    momentum : float
        Share of the last step's direction that is kept, in [0, 1). It is inside the projection.
        None with ``masking``: it runs past the edge of success, which is where to stay.

    References
    ----------
    Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018.
    Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018. Athalye et al.,
    "Synthesizing robust adversarial examples", ICML 2018 (transforms). Qin et al., "Imperceptible,
    robust, and targeted adversarial examples for automatic speech recognition", ICML 2019
    (masking).

    Notes
    -----
    Qin et al. first find an adversary, then weigh both losses, and adapt the weight; here a sound
    that succeeds steps towards less that is heard, and one that does not towards both.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(100, 2)
    >>> attack = WaveformPGD(model, snr_db=20.0)
    >>> attack(torch.rand(2, 100), torch.tensor([0, 1])).shape  # away from 0 and from 1
    torch.Size([2, 100])
    >>> attack.targeted(0).run(torch.rand(2, 100)).labels  # towards 0
    tensor([0, 0])
    """

    norm: Literal["l2", "linf"] = "l2"
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ParameterError(f"momentum is {self.momentum}, must be in [0, 1)")

    @property
    def bound(self) -> Bound:
        """What the difference may be."""
        return replace(super().bound, norm=self.norm)

    def _step(
        self, x: Tensor, sound: Tensor, gradient: Tensor, memory: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor]:
        order = 2 if self.norm == "l2" else 1
        momentum = 0.0 if self.masking else self.momentum
        memory = momentum * memory + unit(gradient, order=order)
        direction = unit(memory) if self.norm == "l2" else memory.sign()
        move = self._length(iteration) * self.bound.reach(x) * direction
        return self.bound.place(sound - move, x), memory
