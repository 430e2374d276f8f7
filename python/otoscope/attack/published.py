"""The adversary on magnitudes as it was published, defects included, to be compared with.

X are the magnitudes of the original, Y those of the adversary, C = P(Y e^{j phase}) the spectrum
that gives the phase; all [batch, frame, bin]. See `MagnitudeAdversary` for what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope import ops
from otoscope.attack.model import gradient_of, hear
from otoscope.attack.objective import Verdict
from otoscope.attack.search import Question, Trial
from otoscope.attack.spectrum_classifier import SpectrumClassifier
from otoscope.protocols import Model

__all__ = ["Published", "momentum_of", "publish"]


@dataclass(frozen=True, eq=False)
class Published:
    """Settings of the published method.

    Parameters
    ----------
    model : callable
        Of sound; a `SpectrumClassifier` is asked about magnitudes directly.
    snr_db : float
        Bound on magnitudes: ||Y - X|| <= ||X|| / 10^(snr_db / 20), dB.
    step : float
        mu; the gradient is that of the mean over frames, times the number of frames.
    steps : int
        At most.
    window : Tensor [n_fft]
        Of the analysis.
    hop_length : int
        Samples between frames.

    Examples
    --------
    >>> Published(torch.nn.Linear(513, 2), 15.0, 0.1, 100, torch.hann_window(1024), 512).steps
    100
    """

    model: Model
    snr_db: float
    step: float
    steps: int
    window: Tensor
    hop_length: int

    def sound(self, Y: Tensor, C: Tensor, like: Tensor) -> Tensor:
        """Turn magnitudes and phases to sound; what no frame covers stays as in ``like``.

        Parameters
        ----------
        Y, C : Tensor [batch, frame, bin]
            Magnitudes, and the spectrum that has the phase.
        like : Tensor [batch, sample]
            The original.

        Returns
        -------
        Tensor [batch, sample]
            Without padding: the first and last samples are divided by almost 0.

        Examples
        --------
        >>> settings.sound(D.abs(), D, y)  # doctest: +SKIP
        """
        y = ops.istft_ls(Y * _phase(C), window=self.window, hop_length=self.hop_length)
        return torch.cat([y, like[:, y.shape[1] :]], 1)

    def judge(self, question: Question, Y: Tensor, C: Tensor) -> Verdict:
        """Ask about magnitudes, consistent or not.

        Parameters
        ----------
        question : Question
            What the model is to say.
        Y, C : Tensor [batch, frame, bin]
            Magnitudes, and the spectrum that has the phase.

        Returns
        -------
        Verdict
            On Y, not on a sound.

        Examples
        --------
        >>> settings.judge(question, D.abs(), D).success  # doctest: +SKIP
        """
        if isinstance(self.model, SpectrumClassifier):
            return question.objective.judge(hear(self.model.model, Y))
        return question.objective.judge(hear(self.model, self.sound(Y, C, question.x)))


def publish(question: Question, settings: Published) -> tuple[Trial, Tensor]:
    """Search as published.

    Parameters
    ----------
    question : Question
        Sounds and what is wanted.
    settings : Published
        The method's numbers.

    Returns
    -------
    trial : Trial
        Its success and confidence are those on Y, its spectrum is Y e^{j arg C}.
    magnitude : Tensor [batch, frame, bin]
        Y at the stop.

    References
    ----------
    Kereliuk, Sturm and Larsen, "Deep learning and music adversaries", IEEE Trans. Multimedia
    17(11), 2015, section IV. Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm
    for linear inverse problems", 2009 (the momentum).

    Examples
    --------
    >>> trial, Y = publish(question, settings)  # doctest: +SKIP
    """
    D = ops.stft(question.x, window=settings.window, hop_length=settings.hop_length)
    X, Y, C, Z = D.abs(), D.abs(), D.clone(), D.abs()
    radius = X.double().norm(dim=(1, 2)) / 10 ** (settings.snr_db / 20)
    trial = Trial.at(question.x, steps=settings.steps)
    going = torch.arange(len(X), device=X.device)
    for iteration in range(settings.steps + 1):
        at = Y[going].requires_grad_()
        verdict = settings.judge(question[going], at, C[going])
        confidence = verdict.confidence.to(X.dtype)
        trial.history[going, iteration] = trial.confidence[going] = confidence
        trial.success[going] = verdict.success
        trial.iterations[going] = iteration
        gradient = gradient_of(verdict.loss * X.shape[1], at)[~verdict.success]
        going = going[~verdict.success]
        if iteration == settings.steps or len(going) == 0:
            break
        ahead, C[going] = ops.magnitude_step(
            Y[going],
            gradient,
            C[going],
            X[going],
            window=settings.window,
            hop_length=settings.hop_length,
            step=settings.step,
            radius=radius[going],
        )
        Y[going] = ahead + momentum_of(iteration) * (ahead - Z[going])
        Z[going] = ahead
    changed = trial.iterations > 0
    trial.sound[changed] = settings.sound(Y, C, question.x)[changed]
    trial.spectrum = Y * _phase(C)
    trial.success_on_spectra = trial.success
    trial.magnitude_snr_db = 10 * torch.log10(
        X.double().square().sum((1, 2)) / (Y - X).double().square().sum((1, 2))
    )
    return trial, Y


def momentum_of(iteration: int) -> float:
    """Weight of the last move in FISTA.

    Parameters
    ----------
    iteration : int
        From 0.

    Returns
    -------
    float
        (t_k - 1) / t_(k+1) with t_0 = 1 and t_(k+1) = (1 + sqrt(1 + 4 t_k^2)) / 2.

    Examples
    --------
    >>> [round(momentum_of(k), 3) for k in range(3)]
    [0.0, 0.282, 0.434]
    """
    t = following = 1.0
    for _ in range(iteration + 1):
        t, following = following, (1 + (1 + 4 * following**2) ** 0.5) / 2
    return (t - 1) / following


def _phase(C: Tensor) -> Tensor:
    return torch.where(C == 0, 1, C.sgn())
