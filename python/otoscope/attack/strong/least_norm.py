"""Search for the largest signal-to-noise ratio at which each sound still fools the model."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import torch
from torch import Tensor

from otoscope.attack.magnitude import MagnitudeAdversary
from otoscope.attack.problem import Problem, pose
from otoscope.attack.result import AttackResult
from otoscope.attack.search import SearchState, summarise
from otoscope.attack.strong.base import StrongAttack, nearer
from otoscope.attack.waveform import WaveformPGD
from otoscope.errors import ParameterError, require_number
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import Sound, differentiating, evaluating
from otoscope.signal.snr import check_snr, snr_db

__all__ = ["LeastNorm", "LeastNormResult", "Solver"]

Solver: TypeAlias = "WaveformPGD | MagnitudeAdversary | StrongAttack"
"""Attack that searches for adversaries of a posed problem."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LeastNormResult(AttackResult):
    """Nearest adversaries, and the ratios between which the true limit lies.

    Parameters
    ----------
    fails_db : Tensor [batch], float64
        Lowest ratio, dB, at which the attack failed; inf if it failed at none. Between ``snr_db``,
        at which the sound fools the model, and this nothing is known; failure is no proof.

    Examples
    --------
    >>> import torch
    >>> from otoscope.attack.strong import APGD, LeastNorm
    >>> search = LeastNorm(APGD(torch.nn.Linear(100, 2), steps=10), highest_db=60.0)
    >>> result = search.run(torch.rand(3, 100))
    >>> bool((result.snr_db <= result.fails_db).all())
    True
    """

    fails_db: Tensor


@dataclass(frozen=True, eq=False)
class LeastNorm:
    """Bisect the signal-to-noise ratio of an attack for each sound.

    Parameters
    ----------
    attack : WaveformPGD, MagnitudeAdversary or StrongAttack
        Attack with its model; its ``snr_db`` is replaced. Its restarts are those of each ratio.
    lowest_db, highest_db : float
        Range of ratios, dB, > 0.
    tolerance_db : float
        Distance of the ratios that are tried, dB, > 0.
    in_16_bits : bool
        Round the adversaries to the samples that a 16-bit file holds, so that the file succeeds as
        well; an adversary that does not survive this stays as it is.

    Raises
    ------
    ParameterError
        If the range is empty, or the attack does not bound the sound.

    Notes
    -----
    Sounds with the same ratio to try are attacked in one batch. An adversary is moved to the
    boundary, by bisection of its way, and its own ratio is the next lower limit. So the ratio that
    is reported is that of an adversary, exactly.

    Examples
    --------
    >>> from otoscope.attack.strong import APGD
    >>> LeastNorm(APGD(torch.nn.Linear(100, 2))).grid[:3]
    (5.0, 5.5, 6.0)
    """

    attack: Solver
    lowest_db: float = 5.0
    highest_db: float = 80.0
    tolerance_db: float = 0.5
    in_16_bits: bool = False

    def __post_init__(self) -> None:
        check_snr("lowest_db", self.lowest_db)
        check_snr("highest_db", self.highest_db)
        require_number("tolerance_db", self.tolerance_db)
        if self.highest_db <= self.lowest_db or not 0 < self.tolerance_db < math.inf:
            raise ParameterError(
                f"lowest_db is {self.lowest_db}, highest_db {self.highest_db}, tolerance_db "
                f"{self.tolerance_db}; lowest_db must be < highest_db, tolerance_db > 0"
            )
        if isinstance(self.attack, MagnitudeAdversary) and self.attack.faithful:
            raise ParameterError(
                "the published method does not bound the sound: leave out faithful=True"
            )

    @property
    def grid(self) -> tuple[float, ...]:
        """Ratios that may be tried, rising, dB."""
        n = math.floor((self.highest_db - self.lowest_db) / self.tolerance_db + 1e-9) + 1
        return tuple(self.lowest_db + i * self.tolerance_db for i in range(n))

    def run(
        self,
        x: Tensor | Sound,
        y: int | Tensor | None = None,
        *,
        first_example: int = 0,
        progress: Progress = silent,
    ) -> LeastNormResult:
        """Make the nearest adversaries; see `otoscope.attack.base.Attack.run`."""
        attack = self.attack
        mode = differentiating if attack.needs_gradient else evaluating
        with mode(attack.model), torch.set_grad_enabled(attack.needs_gradient):
            problem = pose(attack, x, y, first_example)
            state, fails_db = self._bisected(problem, progress)
        result = summarise(replace(attack, snr_db=self.lowest_db), problem, state)
        measures = {field.name: getattr(result, field.name) for field in fields(AttackResult)}
        return LeastNormResult(**measures, fails_db=fails_db)

    def _bisected(self, problem: Problem, progress: Progress) -> tuple[SearchState, Tensor]:
        """Bisect on the grid: ``low`` succeeds or is -1, ``high`` fails or is its length."""
        x, grid = problem.x, self.grid
        best = SearchState.at(x, steps=self.attack.steps)
        best_db = x.new_full((len(x),), -math.inf, dtype=torch.float64)
        low, high = [-1] * len(x), [len(grid)] * len(x)
        n_rounds = math.ceil(math.log2(len(grid) + 1))
        rounds = iter(tracked(progress, range(n_rounds), "ratios"))
        while any(high[i] - low[i] > 1 for i in range(len(x))):
            next(rounds, None)
            levels = {i: (low[i] + high[i]) // 2 for i in range(len(x)) if high[i] - low[i] > 1}
            for level in sorted(set(levels.values())):
                at = [i for i, own in levels.items() if own == level]
                rows = torch.tensor(at, device=x.device)
                part = replace(self.attack, snr_db=grid[level]).solve(problem[rows])
                ratios = self._moved(problem[rows], part)
                _keep(best, best_db, rows, part, ratios)
                for i, succeeds, ratio in zip(
                    at, part.success.tolist(), ratios.tolist(), strict=True
                ):
                    if not succeeds:
                        high[i] = level
                        continue
                    steps = (min(ratio, self.highest_db) - self.lowest_db) / self.tolerance_db
                    low[i] = max(level, math.floor(steps + 1e-9))
                    high[i] = high[i] if low[i] < high[i] else len(grid)
        fails_db = [grid[i] if i < len(grid) else math.inf for i in high]
        return best, torch.tensor(fails_db, dtype=torch.float64, device=x.device)

    def _moved(self, problem: Problem, state: SearchState) -> Tensor:
        """Move the adversaries to the boundary; return the ratios [batch] of all sounds, dB."""
        rows = (state.success & (state.sound != problem.x).any(1)).nonzero()[:, 0]
        if len(rows):
            sound, confidence = nearer(
                self.attack.model, problem[rows], state.sound[rows], in_16_bits=self.in_16_bits
            )
            state.sound[rows], state.confidence[rows] = sound, confidence
        return snr_db(problem.x, state.sound)


def _keep(
    best: SearchState, best_db: Tensor, rows: Tensor, part: SearchState, ratios: Tensor
) -> None:
    """Keep the nearest adversaries; for sounds without, the candidate of the lowest ratio."""
    ratios = torch.where(part.success, ratios, -math.inf)
    is_better = (part.success & (ratios > best_db[rows])) | ~(best.success[rows] | part.success)
    at = rows[is_better]
    for name in ("sound", "score", "confidence", "success", "iterations", "history"):
        getattr(best, name)[at] = getattr(part, name)[is_better]
    best.confidence_before[rows] = part.confidence_before
    best_db[at] = ratios[is_better]
