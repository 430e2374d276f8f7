"""Projected gradient descent on the waveform: every iterate is sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from otoscope.attack.base import Attack
from otoscope.attack.bounds import Bound, Region
from otoscope.attack.kernels import descend_, divisor_of
from otoscope.attack.problem import Problem, pose
from otoscope.attack.result import AttackResult
from otoscope.attack.search import SearchState, search, summarise
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent
from otoscope.protocols import Sound, differentiating

__all__ = ["WaveformPGD"]


@dataclass(frozen=True, eq=False)
class WaveformPGD(Attack):
    """Projected gradient descent with an exact bound on the signal-to-noise ratio.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`.

    Parameters
    ----------
    norm : {"l2", "linf"}
        "l2": the whole difference has at least ``snr_db``. "linf": every sample of the difference
        is at most rms(x) / 10^(snr_db / 20); this is stricter, so ``snr_db`` holds too.
    momentum : float
        Fraction of the previous direction that is kept, in [0, 1), applied before the projection.
        Ignored with ``masking``: momentum overshoots the edge of success, where the search should
        stay.

    References
    ----------
    Madry et al. (2018) :cite:`madry2018`; Dong et al. (2018) :cite:`dong2018` (momentum); Athalye
    et al. (2018) :cite:`athalye2018` (transforms); Qin et al. (2019) :cite:`qin2019` (masking).

    Notes
    -----
    Qin et al. first find an adversary, then weigh both losses and adapt the weight. Here a sound
    that succeeds steps towards a less audible difference, and one that does not towards both.

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
        """Bound on the difference."""
        return replace(super().bound, norm=self.norm)

    def run(
        self,
        x: Tensor | Sound,
        y: int | Tensor | None = None,
        *,
        first_example: int = 0,
        progress: Progress = silent,
    ) -> AttackResult:
        """Make adversaries; see `otoscope.attack.base.Attack.run`."""
        with differentiating(self.model), torch.enable_grad():
            problem = pose(self, x, y, first_example)
            state = self.solve(problem, progress)
        return summarise(self, problem, state)

    def solve(self, problem: Problem, progress: Progress = silent) -> SearchState:
        """Search for adversaries; the model is in eval mode, and gradients are enabled."""
        return search(self, problem, self.gradient_step, progress=progress)

    def gradient_step(self, x: Tensor) -> GradientStep:
        """Make the step of a search around sounds [batch, sample]."""
        momentum = 0.0 if self.masking else self.momentum
        return GradientStep(self.bound, x, self.step, momentum, shortens=self.masking > 0)


class GradientStep:
    """A normalised gradient step with momentum, projected onto the bound; a `Step` of `search`.

    ``length`` is a fraction of the bound's reach; with ``shortens`` it is that of the first step,
    and decreases.
    """

    def __init__(
        self, bound: Bound, x: Tensor, length: float, momentum: float, *, shortens: bool = False
    ) -> None:
        self._region = Region(bound, x)
        self._length, self._momentum, self._shortens = length, momentum, shortens

    def __call__(
        self, sound: Tensor, gradient: Tensor, memory: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor]:
        """Step: memory <- momentum memory + gradient / |gradient|; sound <- P(sound - length d)."""
        region = self._region
        length = step_length(self._length, iteration, shortens=self._shortens)
        if region.bound.norm == "l2":
            radii, momentum = length * region.radius, self._momentum
            descend_(sound, memory, gradient, region.x, length=radii, momentum=momentum)
            return region.shift_(sound), memory
        memory.mul_(self._momentum).addcdiv_(gradient, divisor_of(gradient, 1))
        sound.addcmul_(memory.sign(), length * region.reach, value=-1)
        return region.place_(sound), memory


def step_length(first: float, iteration: int, *, shortens: bool) -> float:
    """Length of a step: constant, or first / (1 + iteration / 10), so that the search settles."""
    return first / (1 + iteration / 10) if shortens else first
