"""The attack on magnitudes as published, defects included, for comparison (paper E, section IV).

X are the magnitudes of the original, Y those of the adversary, C = P(Y e^{j phase}) the consistent
spectrum that provides the phase; all [batch, frame, bin]. `MagnitudeAdversary` lists the defects.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope import ops
from otoscope.attack.classifier import SpectrumClassifier, gradient_of, predict
from otoscope.attack.objective import Assessment
from otoscope.attack.problem import Problem
from otoscope.attack.search import SearchState, respond
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import Model

__all__ = ["PublishedConfig", "momentum_of", "search_as_published"]


@dataclass(frozen=True, eq=False)
class PublishedConfig:
    """Settings of the published method.

    Parameters
    ----------
    snr_db : float
        Bound on magnitudes: ||Y - X|| <= ||X|| / 10^(snr_db / 20), dB.
    step : float
        mu, a factor of the gradient of the mean over frames, times the number of frames.
    steps : int
        Maximum number of steps.
    window : Tensor [n_fft]
        Analysis window.
    hop_length : int
        Samples between frames.
    """

    snr_db: float
    step: float
    steps: int
    window: Tensor
    hop_length: int

    def sound(self, Y: Tensor, C: Tensor, original: Tensor) -> Tensor:
        """Synthesise magnitudes Y with the phase of C; samples without frames are the original's.

        Nothing is padded: the first and last samples are divided by almost 0.
        """
        y = ops.istft_ls(Y * _phase(C), window=self.window, hop_length=self.hop_length)
        return torch.cat([y, original[:, y.shape[1] :]], 1)


def search_as_published(
    model: Model, problem: Problem, config: PublishedConfig, progress: Progress = silent
) -> tuple[SearchState, Tensor]:
    """Search as published; return the state and Y [batch, frame, bin] at the stop.

    The state's confidence and success are those of the sounds; ``success_on_spectra`` is that on Y,
    which the paper counts, and ``spectrum`` is Y e^{j arg C}. The momentum is that of FISTA: Beck
    and Teboulle (2009) :cite:`beck2009`.
    """
    x = problem.x
    problem.first.clear()  # it holds a graph
    D = ops.stft(x, window=config.window, hop_length=config.hop_length)
    X, Y, C, Z = D.abs(), D.abs(), D.clone(), D.abs()
    radius = X.double().norm(dim=(1, 2)) / 10 ** (config.snr_db / 20)
    state = SearchState.at(x, steps=config.steps)
    on_spectra = torch.zeros_like(state.success)
    active = torch.arange(len(X), device=X.device)
    for iteration in tracked(progress, range(config.steps + 1), "steps"):
        at = Y[active].requires_grad_()
        assessment = _assess(model, problem[active], config, at, C[active])
        state.history[active, iteration] = assessment.confidence.to(X.dtype)
        state.iterations[active] = iteration
        on_spectra[active] = assessment.success
        failed = ~assessment.success
        gradient = gradient_of(assessment.loss * X.shape[1], at)[failed]
        active = active[failed]
        if iteration == config.steps or len(active) == 0:
            break
        ahead, C[active] = ops.magnitude_step(
            Y[active],
            gradient,
            C[active],
            X[active],
            window=config.window,
            hop_length=config.hop_length,
            step=config.step,
            radius=radius[active],
        )
        Y[active] = ahead + momentum_of(iteration) * (ahead - Z[active])
        Z[active] = ahead
    changed = state.iterations > 0
    state.sound[changed] = config.sound(Y, C, x)[changed]
    state.spectrum = Y * _phase(C)
    state.success_on_spectra = on_spectra
    state.magnitude_snr_db = 10 * torch.log10(
        X.double().square().sum((1, 2)) / (Y - X).double().square().sum((1, 2))
    )
    state.confidence_before = respond(model, problem, x, differentiates=False).confidence
    after = respond(model, problem, state.sound, differentiates=False)
    state.confidence, state.success = after.confidence, after.success
    return state, Y


def _assess(
    model: Model, problem: Problem, config: PublishedConfig, Y: Tensor, C: Tensor
) -> Assessment:
    """Assess magnitudes Y, consistent or not; a model of sounds gets their synthesis."""
    if isinstance(model, SpectrumClassifier):
        return problem.objective.assess(predict(model.model, Y))
    return problem.objective.assess(predict(model, config.sound(Y, C, problem.x)))


def momentum_of(iteration: int) -> float:
    """Weight of the last move in FISTA: (t_k - 1) / t_(k+1), t_0 = 1, k = ``iteration``.

    t_(k+1) = (1 + sqrt(1 + 4 t_k^2)) / 2.
    """
    t = following = 1.0
    for _ in range(iteration + 1):
        t, following = following, (1 + (1 + 4 * following**2) ** 0.5) / 2
    return (t - 1) / following


def _phase(C: Tensor) -> Tensor:
    return torch.where(C == 0, 1, C.sgn())
