"""Search of settings by optuna, with as many steps as the grid took.

A trial is a setting that optuna's tree-structured Parzen estimator proposes from the distances of
earlier ones. What either search chose is judged on seeds that neither saw: the least of many
distances is too small by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope import records
from otoscope.errors import require_extra
from otoscope.explain.maximise import ActivationMaximiser, Setting, setting_intervals
from otoscope.progress import Progress, tracked
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import significant

__all__ = ["OptunaSearch", "require_optuna", "search_table"]


@dataclass(frozen=True, eq=False)
class OptunaSearch:
    """Search of one direction.

    Parameters
    ----------
    direction : str
        Name of the direction.
    maximiser : ActivationMaximiser
        Search of a setting's inputs.
    real : Tensor [excerpt]
        Activations by the furthest real excerpts.
    rates, penalties : sequence of float
        Ends of the ranges that settings are drawn from; logarithmic if they are above 0.
    iterations : sequence of int
        Ends of the range of iterations, logarithmic.
    seeds, seed : int
        Number of seeds of a trial, and the first one.
    """

    direction: str
    maximiser: ActivationMaximiser
    real: Tensor
    rates: Sequence[float]
    penalties: Sequence[float]
    iterations: Sequence[int]
    seeds: int
    seed: int

    def run(self, path: Path, grid: Setting, budget: int, progress: Progress) -> dict[str, Any]:
        """Try settings until ``budget`` steps are spent; judge the best beside the grid's.

        Each trial is a line of the file: an interrupted search continues.
        """
        optuna = require_optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self.seed))
        trials = list[dict[str, Any]]()
        with records.Records(path) as written:
            done = {row["key"]: row for row in records.stream(path)}
            shown = iter(tracked(progress, range(budget), f"steps of optuna, {self.direction}"))
            spent, shortest = 0, min(self.iterations)
            while not trials or (budget - spent) // self.seeds >= shortest:
                proposed = study.ask()
                setting = self._propose(proposed, max(shortest, (budget - spent) // self.seeds))
                key = f"{self.direction}, trial {len(trials)}"
                if key not in done:
                    written.append(key, self._tried(setting, self.seed), seed=None)
                    done = {row["key"]: row for row in records.stream(path)}
                row = done[key]
                study.tell(proposed, row["distance"])
                trials.append(row)
                for _ in range(min(row["steps"], budget - spent)):
                    next(shown, None)
                spent += row["steps"]
            best = min(trials, key=lambda row: float(row["distance"]))
            key = f"{self.direction}, judged"
            if key not in done:
                found = Setting(**best["setting"])
                both = [self._tried(s, self.seed + self.seeds) for s in (grid, found)]
                written.append(key, {"grid": both[0], "optuna": both[1]}, seed=None)
                done = {row["key"]: row for row in records.stream(path)}
        return {
            "direction": self.direction,
            "budget": budget,
            "trials": [_plain(row) for row in trials],
            "best": _plain(best),
            "judged": _plain(done[key]),
        }

    def _propose(self, trial: Any, most: int) -> Setting:
        def number(name: str, values: Sequence[float]) -> float:
            low, high = min(values), max(values)
            if low == high:
                return low
            return float(trial.suggest_float(name, low, high, log=low > 0))

        low, high = min(self.iterations), max(self.iterations)
        n = trial.suggest_int("iterations", low, high, log=True) if low < high else low
        rate, penalty = number("rate", self.rates), number("penalty", self.penalties)
        return Setting(rate, penalty, min(n, most))

    def _tried(self, setting: Setting, seed: int) -> dict[str, Any]:
        """Search a setting: its activations, their distance to the real ones, its steps."""
        result = self.maximiser.run(**vars(setting), seeds=self.seeds, seed=seed)
        made = result.activation.double().cpu()
        distance = float(setting_intervals(self.real, made[None], resamples=20).distance[0])
        return {
            "setting": setting,
            "distance": distance if distance == distance else 1e300,  # NaN: a seed has none
            "activation": made,
            "steps": int(result.steps.sum()),
            "exploded": int(result.exploded.sum()),
        }


def require_optuna() -> Any:
    """Import optuna, or say how to install it."""
    return require_extra("optuna", "search")


def search_table(
    searches: Sequence[dict[str, Any]],
    grids: Sequence[tuple[Setting, float, int]],
    real: Sequence[Tensor],
    where: str,
    *,
    resamples: int,
    seed: int,
) -> ResultTable:
    """Set the settings that grid and optuna chose beside each other; ``grids`` of each direction.

    A grid is its best setting, the distance of it, and the number of settings.
    """
    rows = []
    for search, (setting, distance, n_settings), of in zip(searches, grids, real, strict=True):
        judged = [search["judged"][name] for name in ("grid", "optuna")]
        made = torch.tensor([row["activation"] for row in judged], dtype=torch.float64)
        intervals = setting_intervals(of, made, resamples=resamples, seed=seed)
        best = search["best"]
        both = (
            ("grid", n_settings, search["budget"], setting, distance),
            (
                "optuna",
                len(search["trials"]),
                sum(row["steps"] for row in search["trials"]),
                Setting(**best["setting"]),
                best["distance"],
            ),
        )
        for i, (name, n_tried, steps, chosen, least) in enumerate(both):
            value, low, high = (
                significant(float(x[i]))
                for x in (intervals.distance, intervals.low, intervals.high)
            )
            rows.append(
                (
                    search["direction"],
                    name,
                    str(n_tried),
                    f"{steps:,}",
                    f"{chosen.rate:.3g}, {chosen.penalty:.3g}, {chosen.iterations}",
                    significant(float(least)),
                    f"{value} [{low}, {high}]",
                    "no" if bool(intervals.is_tied.all()) else "yes",
                )
            )
    columns = ("direction", "search", "settings tried", "steps", "rate, penalty, iterations",
               "distance", "on new seeds", "told apart")  # fmt: skip
    return ResultTable(f"Optuna beside the grid, equal steps ({where})", columns, tuple(rows))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("key", "seed", "versions")}
