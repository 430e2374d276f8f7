"""The adversary of Kereliuk, Sturm and Larsen (2015): steps on the magnitude spectrum.

By default a step changes magnitudes, keeps phases, and ends as sound within the bound; the method
as published is in `otoscope.attack.published`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope import ops
from otoscope.attack.base import Attack
from otoscope.attack.model import unit
from otoscope.attack.objective import Outputs
from otoscope.attack.published import Published, momentum_of, publish
from otoscope.attack.search import Question, Trial
from otoscope.attack.spectrum_classifier import SpectrumClassifier
from otoscope.errors import ParameterError
from otoscope.signal.stft import hann, n_frames

__all__ = ["MagnitudeAdversary"]


@dataclass(frozen=True, eq=False)
class MagnitudeAdversary(Attack):
    """Projected gradient descent on magnitudes, with the phase of the sound.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`.

    Parameters
    ----------
    normalised : bool
        True: ``step`` is a fraction of the ball's radius, in the gradient's direction. False: the
        paper's mu, times the gradient, times the number of frames; so it always is in a faithful
        attack.
    n_fft, hop_length : int
        Samples of a frame and between frames; the window is a symmetric Hann.
    faithful : bool
        As published, defects included: see Notes. The bound is then on magnitudes only, and
        ``amplitude`` is not kept.

    Raises
    ------
    ParameterError
        If frames do not cover all samples, or a faithful attack is given what it does not have:
        restarts, segments, transforms, masking.

    References
    ----------
    Kereliuk, Sturm and Larsen, "Deep learning and music adversaries", IEEE Trans. Multimedia
    17(11), 2015, section IV.

    Notes
    -----
    What is published has five defects that this has not by default. Momentum is added after
    the projection, so the result leaves the ball and has negative magnitudes; here the projection
    is last. Frames are not padded, so the inverse divides by almost nothing at the ends; here the
    sound is padded by a frame and cropped. The ball is on magnitudes while the phase runs, so the
    sound may be far louder than the bound; here the ball is on the sound. Success is counted on
    magnitudes that no sound has; here on the sound. And its code takes the target of label 0 for
    none; this defect ``faithful`` does not inherit.

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
        heard = self.model
        if self.faithful and isinstance(heard, SpectrumClassifier):
            frames, theirs = (self.n_fft, self.hop_length), (heard.n_fft, heard.hop_length)
            if frames != theirs:
                raise ParameterError(
                    f"(n_fft, hop_length) are {frames}, the model's are {theirs}: must be the same"
                )
        extra = {
            "restarts": self.restarts > 1,
            "segmental_snr_db": self.segmental_snr_db is not None,
            "transforms": bool(self.transforms),
            "masking": self.masking > 0,
        }
        if self.faithful and any(extra.values()):
            names = ", ".join(name for name, given in extra.items() if given)
            raise ParameterError(f"the published method has no {names}: leave out faithful=True")

    @classmethod
    def dnn(
        cls,
        model: Callable[[Tensor], Tensor],
        *,
        snr_db: float = 15.0,
        hears: Literal["magnitude", "sound"] = "magnitude",
        outputs: Outputs | None = None,
        faithful: bool = False,
    ) -> MagnitudeAdversary:
        """Set up the paper's attack on its network of frames: mu 0.1, 100 steps, confidence 0.9.

        Parameters
        ----------
        model : callable
            Magnitudes [batch, frame, bin] -> [batch, frame, output], or of sound.
        snr_db : float
            Least signal-to-noise ratio, dB.
        hears : {"magnitude", "sound"}
            What the model takes.
        outputs : {"logits", "probabilities"}, optional
            What it gives; default: its attribute ``outputs``, or logits.
        faithful : bool
            As published.

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
            _as_sound(model, hears),
            snr_db=snr_db,
            steps=100,
            step=0.1,
            confidence=0.9,
            outputs=outputs,
            normalised=False,
            faithful=faithful,
        )

    @classmethod
    def cdnn(
        cls,
        model: Callable[[Tensor], Tensor],
        *,
        snr_db: float = 15.0,
        hears: Literal["magnitude", "sound"] = "magnitude",
        outputs: Outputs | None = None,
        faithful: bool = False,
    ) -> MagnitudeAdversary:
        """Set up the paper's attack on its convolutional network: mu 0.01, 50 steps, 0.5.

        The paper's network hears excerpts of 100 frames: the model given cuts them itself. The
        paper gives no ratio of its own for it: the default is that of `dnn`.

        Parameters
        ----------
        model : callable
            Magnitudes [batch, frame, bin] -> [batch, output] or [batch, excerpt, output], or of
            sound.
        snr_db : float
            Least signal-to-noise ratio, dB.
        hears : {"magnitude", "sound"}
            What the model takes.
        outputs : {"logits", "probabilities"}, optional
            What it gives; default: its attribute ``outputs``, or logits.
        faithful : bool
            As published.

        Returns
        -------
        MagnitudeAdversary
            For sound at 22,050 Hz; frames of 1024, hop 512.

        Examples
        --------
        >>> MagnitudeAdversary.cdnn(torch.nn.Linear(513, 10)).confidence
        0.5
        """
        dnn = cls.dnn(model, snr_db=snr_db, hears=hears, outputs=outputs, faithful=faithful)
        return replace(dnn, steps=50, step=0.01, confidence=0.5)

    def _solve(self, question: Question) -> tuple[Trial, Tensor]:
        if not self.faithful:
            return super()._solve(question)
        window = hann(self.n_fft, periodic=False)
        settings = Published(
            self.model, self.snr_db, self.step, self.steps, window, self.hop_length
        )
        trial, _ = publish(question, settings)
        before = self._ask(question, question.x).confidence
        after = self._ask(question, trial.sound)
        trial.confidence, trial.success = after.confidence, after.success
        return trial, before

    def _step(
        self, x: Tensor, sound: Tensor, gradient: Tensor, memory: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor]:
        moved = self.bound.project(self._moved(x, sound, gradient, self._length(iteration)) - x, x)
        ahead = moved + momentum_of(iteration) * (moved - memory)
        return self.bound.place(x + ahead, x), moved

    def _moved(self, x: Tensor, sound: Tensor, gradient: Tensor, length: float) -> Tensor:
        """Step against the gradient of the magnitudes, and go back to sound."""
        w = hann(self.n_fft, periodic=False)
        D = ops.stft(self._padded(sound), window=w, hop_length=self.hop_length)
        S, phase = D.abs(), torch.where(D == 0, 1, D.sgn())

        def synthesis(magnitude: Tensor) -> Tensor:
            y = ops.istft_ls(magnitude * phase, window=w, hop_length=self.hop_length)
            return y[:, self._lead :][:, : x.shape[1]]

        _, (slope,) = torch.autograd.functional.vjp(synthesis, (S,), gradient)
        if self.normalised:
            X = ops.stft(self._padded(x), window=w, hop_length=self.hop_length).abs()
            radius = X.norm(dim=(1, 2), keepdim=True) / 10 ** (self.snr_db / 20)
            slope = unit(slope) * radius
        else:
            slope = slope * n_frames(x.shape[1], n_fft=self.n_fft, hop_length=self.hop_length)
        return synthesis((S - length * slope).clamp(min=0))

    @property
    def _lead(self) -> int:
        """Samples of padding: a frame at least, and whole hops, so that no frame moves."""
        return math.ceil(self.n_fft / self.hop_length) * self.hop_length

    def _padded(self, y: Tensor) -> Tensor:
        return F.pad(y, (self._lead, self._lead + -y.shape[1] % self.hop_length))


def _as_sound(
    model: Callable[[Tensor], Tensor], hears: Literal["magnitude", "sound"]
) -> Callable[[Tensor], Tensor]:
    if hears not in ("magnitude", "sound"):
        raise ParameterError(f"hears is {hears!r}, must be 'magnitude' or 'sound'")
    if hears == "sound" or isinstance(model, SpectrumClassifier):
        return model
    return SpectrumClassifier(model, outputs=getattr(model, "outputs", None))
