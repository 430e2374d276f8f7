"""Projected gradient descent on the magnitude spectrum (paper E).

By default a step changes magnitudes, keeps phases, and ends as sound within the bound; the method
as published is in `otoscope.attack.published`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from otoscope import ops
from otoscope.attack.base import Attack
from otoscope.attack.bounds import Bound, Region
from otoscope.attack.classifier import SpectrumClassifier
from otoscope.attack.kernels import scale_magnitudes_
from otoscope.attack.objective import Outputs
from otoscope.attack.problem import Problem, pose
from otoscope.attack.published import PublishedConfig, momentum_of, search_as_published
from otoscope.attack.result import AttackResult
from otoscope.attack.search import SearchState, search, summarise
from otoscope.attack.waveform import step_length
from otoscope.errors import ParameterError
from otoscope.ops.frames import bin_weights, frames_of
from otoscope.progress import Progress, silent
from otoscope.protocols import Sound, differentiating
from otoscope.signal.stft import hann, n_frames

__all__ = ["MagnitudeAdversary"]


@dataclass(frozen=True, eq=False)
class MagnitudeAdversary(Attack):
    """Projected gradient descent on magnitudes, with the phase of the sound.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`.

    Parameters
    ----------
    normalised : bool
        True: ``step`` is a fraction of the ball's radius, along the gradient. False: ``step`` is
        the paper's mu, a factor of the gradient times the number of frames; a faithful attack
        always uses mu.
    n_fft, hop_length : int
        Samples per frame and between frames; the window is a symmetric Hann.
    faithful : bool
        Use the method as published, defects included: see Notes. The bound is then on magnitudes
        only, and ``amplitude`` is ignored.

    Raises
    ------
    ParameterError
        If frames do not cover all samples, or a faithful attack is given settings that the
        published method lacks: restarts, segments, transforms, masking, another memory format.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section IV.

    Notes
    -----
    The published method has five defects that are repaired by default. Momentum is added after the
    projection, so the result leaves the ball and has negative magnitudes; here the projection is
    last. Frames are not padded, so the inverse divides by almost 0 at the ends; here the sound is
    padded by a frame and cropped. The ball is on magnitudes while the phase changes, so the sound
    may differ far more than the bound allows; here the ball is on the sound. Success is counted on
    inconsistent magnitudes; here on the sound. And its code treats the target label 0 as no target;
    ``faithful`` does not reproduce this defect.

    Examples
    --------
    >>> model = torch.nn.Linear(4096, 2)
    >>> attack = MagnitudeAdversary(model, snr_db=20.0).targeted(0)
    >>> attack(torch.rand(1, 4096)).shape
    torch.Size([1, 4096])
    """

    normalised: bool = True
    n_fft: int = 1024
    hop_length: int = 512
    faithful: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_fft < 4 or self.n_fft % 2 or not 1 <= self.hop_length <= self.n_fft // 2:
            raise ParameterError(
                f"n_fft is {self.n_fft} and hop_length {self.hop_length}; n_fft must be even and "
                ">= 4, hop_length in 1..n_fft / 2, so that the frames cover all samples"
            )
        if self.masking and not self.normalised:
            raise ParameterError("masking weighs directions: it needs normalised=True")
        model = self.model
        if self.faithful and isinstance(model, SpectrumClassifier):
            frames, expected = (self.n_fft, self.hop_length), (model.n_fft, model.hop_length)
            if frames != expected:
                raise ParameterError(
                    f"(n_fft, hop_length) are {frames}, the model's are {expected}: must be equal"
                )
        extra = {
            "restarts": self.restarts > 1,
            "segmental_snr_db": self.segmental_snr_db is not None,
            "transforms": bool(self.transforms),
            "masking": self.masking > 0,
            "memory_format": self.memory_format != "contiguous",
        }
        if self.faithful and any(extra.values()):
            names = ", ".join(name for name, is_set in extra.items() if is_set)
            raise ParameterError(f"the published method has no {names}: leave out faithful=True")

    @classmethod
    def dnn(
        cls,
        model: Callable[[Tensor], Tensor],
        *,
        snr_db: float = 15.0,
        model_input: Literal["magnitude", "sound"] = "magnitude",
        outputs: Outputs | None = None,
        faithful: bool = False,
    ) -> MagnitudeAdversary:
        """Set up the paper's attack on its network of single frames: mu 0.1, 100 steps, 0.9.

        Parameters
        ----------
        model : callable
            Magnitudes [batch, frame, bin] -> [batch, frame, output], or of sound.
        snr_db : float
            Minimum signal-to-noise ratio, dB.
        model_input : {"magnitude", "sound"}
            Input of the model.
        outputs : {"logits", "probabilities"}, optional
            Kind of the outputs; default: the model's attribute ``outputs``, or logits.
        faithful : bool
            Use the method as published.

        Returns
        -------
        MagnitudeAdversary
            For sound at 22,050 Hz; frames of 1024, hop 512.

        Examples
        --------
        >>> MagnitudeAdversary.dnn(torch.nn.Linear(513, 10)).steps
        100
        """
        return cls(
            _as_sound(model, model_input),
            snr_db=snr_db,
            steps=100,
            step=0.1,
            confidence=0.9,
            outputs=outputs,
            normalised=False,
            n_fft=1024,
            hop_length=512,
            faithful=faithful,
        )

    @classmethod
    def cdnn(
        cls,
        model: Callable[[Tensor], Tensor],
        *,
        snr_db: float = 15.0,
        model_input: Literal["magnitude", "sound"] = "magnitude",
        outputs: Outputs | None = None,
        faithful: bool = False,
    ) -> MagnitudeAdversary:
        """Set up the paper's attack on its convolutional network: mu 0.01, 50 steps, 0.5.

        The paper's network takes excerpts of 100 frames: ``model`` cuts them itself. The paper
        states no ratio for this network: the default is that of `dnn`.

        Parameters
        ----------
        model : callable
            Magnitudes [batch, frame, bin] -> [batch, output] or [batch, excerpt, output], or of
            sound.
        snr_db : float
            Minimum signal-to-noise ratio, dB.
        model_input : {"magnitude", "sound"}
            Input of the model.
        outputs : {"logits", "probabilities"}, optional
            Kind of the outputs; default: the model's attribute ``outputs``, or logits.
        faithful : bool
            Use the method as published.

        Returns
        -------
        MagnitudeAdversary
            For sound at 22,050 Hz; frames of 1024, hop 512.

        Examples
        --------
        >>> MagnitudeAdversary.cdnn(torch.nn.Linear(513, 10)).confidence
        0.5
        """
        dnn = cls.dnn(
            model, snr_db=snr_db, model_input=model_input, outputs=outputs, faithful=faithful
        )
        return replace(dnn, steps=50, step=0.01, confidence=0.5)

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
        if self.faithful:
            window = hann(self.n_fft, periodic=False)
            config = PublishedConfig(self.snr_db, self.step, self.steps, window, self.hop_length)
            return search_as_published(self.model, problem, config, progress)[0]
        return search(self, problem, self.magnitude_step, progress=progress)

    def magnitude_step(self, x: Tensor) -> MagnitudeStep:
        """Make the step of a search around sounds [batch, sample]."""
        return MagnitudeStep(
            self.bound,
            x,
            self.step,
            self.n_fft,
            self.hop_length,
            normalised=self.normalised,
            shortens=self.masking > 0,
        )


class MagnitudeStep:
    """A step on magnitudes with FISTA's momentum, projected onto the bound; a `Step` of `search`.

    ``length`` is a fraction of the radius of the ball of magnitudes, or mu: see
    `MagnitudeAdversary`; with ``shortens`` it is that of the first step, and decreases.
    """

    def __init__(
        self,
        bound: Bound,
        x: Tensor,
        length: float,
        n_fft: int,
        hop_length: int,
        *,
        normalised: bool = True,
        shortens: bool = False,
    ) -> None:
        self._region, self._length, self._shortens = Region(bound, x), length, shortens
        self._window, self._hop_length = hann(n_fft, periodic=False), hop_length
        # Padding is a frame at least, and whole hops, so that no frame moves.
        self._lead = math.ceil(n_fft / hop_length) * hop_length
        overlap = frames_of(self._window, hop_length, like=x).overlap[:-1]
        self._gain = overlap.reciprocal().to(x).repeat(-(-x.shape[1] // hop_length))[: x.shape[1]]
        self._weights = bin_weights(self._window).to(x) / n_fft
        n_padded = 2 * self._lead + -(-x.shape[1] // hop_length) * hop_length
        self._padded = x.new_zeros(len(x), n_padded)
        self._inner = self._padded[:, self._lead :][:, : x.shape[1]]  # silence around it
        self._normalised = normalised
        if normalised:  # to the ball of magnitudes
            self._inner.copy_(x)
            numbers = torch.view_as_real(self._analysis()).flatten(1)
            size = numbers.norm(dim=1, dtype=torch.float64)
            self._reach = size / 10 ** (bound.snr_db / 20)
        else:
            count = n_frames(x.shape[1], n_fft=n_fft, hop_length=hop_length)
            self._reach = x.new_full((len(x),), count, dtype=torch.float64)

    def __call__(
        self, sound: Tensor, gradient: Tensor, memory: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor]:
        """Step: z <- P(move(sound)); sound <- P(z + momentum (z - memory)); memory <- z."""
        length = step_length(self._length, iteration, shortens=self._shortens)
        region = self._region
        moved = self.move(sound, gradient, length)
        difference = torch.sub(moved, region.x, out=sound)
        return region.shift_ahead_(difference, memory, momentum_of(iteration)), memory

    def move(self, sound: Tensor, gradient: Tensor, length: float) -> Tensor:
        """Step against the gradient with respect to the magnitudes, and return to sound.

        With S and phase those of the sound, T(S) = istft(S e^{j phase}): returns
        T(max(S - length slope, 0)), slope = T^* gradient (normalised, or times the frames).
        """
        self._inner.copy_(sound)
        D = self._analysis()
        torch.mul(gradient, self._gain, out=self._inner)
        # T^* gradient: omega / n_fft Re(e^{-j phase} A (gradient / W)), omega 1 or 2 for each bin.
        lengths, normalises = length * self._reach, self._normalised
        scale_magnitudes_(D, self._analysis(), self._weights, lengths, normalises=normalises)
        y = ops.istft_ls(D, window=self._window, hop_length=self._hop_length)
        return y[:, self._lead :][:, : sound.shape[1]]

    def _analysis(self) -> Tensor:
        """Transform what was written to the padded sound."""
        return ops.stft(self._padded, window=self._window, hop_length=self._hop_length)


def _as_sound(
    model: Callable[[Tensor], Tensor], model_input: Literal["magnitude", "sound"]
) -> Callable[[Tensor], Tensor]:
    if model_input not in ("magnitude", "sound"):
        raise ParameterError(f"model_input is {model_input!r}, must be 'magnitude' or 'sound'")
    if model_input == "sound" or isinstance(model, SpectrumClassifier):
        return model
    return SpectrumClassifier(model)
