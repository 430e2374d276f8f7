"""The paper's grid: 27 settings and 50 seeds, ranked by the distance to real activations.

Runs of 100 and 500 iterations are beginnings of those of 1,000, so 9 runs serve 27 settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise import Setting
from otoscope.explain.maximise.doubt import SettingIntervals, setting_intervals
from otoscope.explain.maximise.maximiser import check_search
from otoscope.papers.a_soundlime._excerpts import origin
from otoscope.papers.b_maximisation._figures import Example, draw_examples
from otoscope.papers.b_maximisation._listening import write_listening_list
from otoscope.papers.b_maximisation._search import (
    PUBLISHED,
    UnitSearch,
    direction_name,
    directions_of,
)
from otoscope.papers.b_maximisation._trials import OptunaSearch, require_optuna, search_table
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import significant

__all__ = ["PUBLISHED", "AmGridConfig", "am_grid"]

_LANDMARKS = ("best", "median", "worst")
_TRIALS = "am_grid_optuna"


@dataclass(frozen=True)
class AmGridConfig:
    """Settings of the experiment am-grid.

    Parameters
    ----------
    model : str
        Name of a model, a bundle or FILE.py:FUNCTION.
    layer : str
        Layer of the unit; the logits, not the probabilities.
    unit : str
        Unit of the layer; see otoscope maximise.
    prior : str
        Prior: gan, maco, fourier or raw; auto is gan if the generator fits the model, else maco.
    generator : Path, optional
        Generator of otoscope train prior, or ours: prior-synth (default) or prior-synth-full.
    direction : str
        Direction of the search: maximise, minimise or both.
    songs : Path, optional
        Folder of stems: of otoscope corpus singing, ccMixter or MUSDB. Default: songs of our
        synthesiser, which need no further package.
    n_songs : int
        Number of songs, >= 1.
    every : float
        Seconds between excerpts of a song.
    rates, penalties : tuple of float
        Rates of Adam, and factors of the penalty.
    iterations : tuple of int
        Numbers of iterations.
    seeds : int
        Number of searches per setting, >= 2.
    search : str
        Search of settings: grid, or optuna for a search with as many steps beside the grid (extra
        search). It draws from the ranges between the least and the largest of the grid's numbers.
    at_once : int
        Number of searches whose result is kept together, if the run is interrupted.
    resamples : int
        Bootstrap samples of the intervals.
    sounds : int
        Sounds per setting, of nine settings, to write with a list for otoscope listening-test.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> len(AmGridConfig().settings)
    27
    """

    model: str = "svdnet-synth"
    layer: str = "fc9"
    unit: str = "0"
    prior: str = "auto"
    generator: Path | None = None
    direction: str = "both"
    songs: Path | None = None
    n_songs: int = 40
    every: float = 0.5
    rates: tuple[float, ...] = (0.1, 0.01, 0.001)
    penalties: tuple[float, ...] = (0.1, 0.01, 0.001)
    iterations: tuple[int, ...] = (100, 500, 1000)
    seeds: int = 50
    search: str = "grid"
    at_once: int = 10
    resamples: int = 2000
    sounds: int = 0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_search(self.rates, self.penalties, self.iterations, seeds=self.seeds, seed=self.seed)
        directions_of(self.direction)
        if self.search not in ("grid", "optuna"):
            raise ParameterError(f"search is {self.search!r}, must be grid or optuna")
        if self.seeds < 2 or self.at_once < 1 or self.sounds < 0:
            raise ParameterError(
                f"seeds is {self.seeds}, at_once {self.at_once}, sounds {self.sounds}; must be "
                ">= 2, >= 1 and >= 0"
            )

    @classmethod
    def quick(cls) -> AmGridConfig:
        """Return a small version: few seeds, few iterations, all settings."""
        return cls(
            model="synth-singing", n_songs=4, every=2.0, iterations=(4, 12, 24), seeds=4, at_once=4
        )

    @property
    def settings(self) -> list[Setting]:
        """All settings, by rate, penalty and number of iterations."""
        every = product(self.rates, self.penalties, self.iterations)
        return [Setting(rate, penalty, n) for rate, penalty, n in every]


def am_grid(config: AmGridConfig, out: Path, *, progress: Progress = silent) -> list[ResultTable]:
    """Run the experiment: write its record, its figure, and sounds.

    Parameters
    ----------
    config : AmGridConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``am_grid.json`` (settings, tables, all activations),
        ``am_grid.svg``, a sound per example, and ``listening-maximise.csv`` with ``sounds``. During
        the run ``am_grid.jsonl`` holds the searches done, ``am_grid_optuna.jsonl`` the trials of
        optuna; the same command continues an interrupted run.
    progress : bool or callable
        True shows a bar over the "runs".

    Returns
    -------
    list of ResultTable
        Best, median and worst beside the paper's; of each direction all settings.

    Raises
    ------
    ParameterError
        If a setting is wrong, the folder holds an unfinished run of other settings, or the
        generator does not fit the model.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`, section 4.

    Examples
    --------
    >>> am_grid(AmGridConfig.quick(), Path("results"))  # doctest: +SKIP
    """
    if config.search == "optuna":
        require_optuna()  # before any work
    search = UnitSearch(config)
    prior = search.prior_name(config.prior)
    penalties = (0.0,) if prior == "maco" else config.penalties
    tasks = [
        (maximise, rate, penalty, range(first, min(first + config.at_once, config.seeds)))
        for maximise in directions_of(config.direction)
        for rate, penalty in product(config.rates, penalties)
        for first in range(0, config.seeds, config.at_once)
    ]
    by = {m: direction_name(m) for m in directions_of(config.direction)}
    maximisers = {m: search.maximiser(config.prior, maximise=m) for m in by}

    def compute(index: int) -> dict[str, Any]:
        maximise, rate, penalty, seeds = tasks[index]
        grid = maximisers[maximise].grid(
            rates=(rate,),
            penalties=(penalty,),
            iterations=config.iterations,
            seeds=len(seeds),
            seed=config.seed + seeds.start,
        )
        return {
            "maximise": maximise,
            "rate": rate,
            "penalty": penalty,
            "first": seeds.start,
            "results": {
                str(result.setting.iterations): {
                    "activation": result.activation,
                    "steps": result.steps,
                    "exploded": result.exploded,
                    "failed": result.failed,
                }
                for result in grid.results
            },
        }

    names = [
        f"{by[m]}, rate {rate:g}, penalty {penalty:g}, seeds {seeds.start} to {seeds.stop - 1}"
        for m, rate, penalty, seeds in tasks
    ]
    settings = {"config": config, "prior": prior, **search.about}
    rows = rows_of_songs(out, "am_grid", settings, names, compute, progress=progress, shown="runs")
    tables, examples = [], list[Example]()
    where = f"{config.model}, prior {prior}; {origin(config.songs)}"
    ranked = {
        direction_name(m): _Ranked.of(rows, search, config, penalties, maximise=m)
        for m in maximisers
    }
    for direction, each in ranked.items():
        tables.append(each.table(f"All settings, {direction} ({where})"))
        examples += each.examples(search, config, direction)
        if config.sounds:
            found = each.settings, each.intervals.distance
            write_listening_list(*found, search, maximisers[each.maximise], out, n=config.sounds)
    tables.insert(0, _landmarks(ranked, where))
    about: dict[str, Any]
    about = {"model": search.identity, "prior": prior, "published": PUBLISHED}
    if config.search == "optuna":
        table, about["optuna"] = _beside_optuna(
            ranked, maximisers, config, out / f"{_TRIALS}.jsonl", where, progress
        )
        tables.insert(1, table)
    draw_examples(out / "am_grid.svg", examples, search.model, title=where, sounds=out)
    write_run(out, "am_grid", config, tables, rows, about)
    (out / f"{_TRIALS}.jsonl").unlink(missing_ok=True)
    return tables


def _beside_optuna(
    ranked: dict[str, _Ranked],
    maximisers: dict[bool, Any],
    config: AmGridConfig,
    trials: Path,
    where: str,
    progress: Progress,
) -> tuple[ResultTable, list[dict[str, Any]]]:
    """Search by optuna with the steps of the grid, and set what both chose beside each other."""
    searches, grids, real = [], [], []
    for direction, each in ranked.items():
        setting = each.settings[each.order[0]]
        search = OptunaSearch(
            direction=direction,
            maximiser=maximisers[each.maximise],
            real=each.real,
            rates=config.rates,
            penalties=sorted({it.penalty for it in each.settings}),
            iterations=config.iterations,
            seeds=config.seeds,
            seed=config.seed,
        )
        searches.append(search.run(trials, setting, each.budget, progress))
        distance = float(each.intervals.distance[each.order[0]])
        grids.append((setting, distance, len(each.settings)))
        real.append(each.real)
    about = {"resamples": config.resamples, "seed": config.seed}
    return search_table(searches, grids, real, where, **about), searches


@dataclass(frozen=True, eq=False)
class _Ranked:
    """All settings of a direction, the nearest to the real excerpts first."""

    maximise: bool
    settings: list[Setting]
    activations: Tensor  # [setting, seed], float64
    n_exploded: list[int]
    n_steps: list[float]  # fraction of the iterations that were evaluated
    intervals: SettingIntervals
    real: Tensor

    @classmethod
    def of(
        cls,
        rows: list[dict[str, Any]],
        search: UnitSearch,
        config: AmGridConfig,
        penalties: tuple[float, ...],
        *,
        maximise: bool,
    ) -> _Ranked:
        settings = [
            Setting(rate, penalty, n)
            for rate, penalty, n in product(config.rates, penalties, config.iterations)
        ]
        activations, exploded, steps = [], [], []
        for setting in settings:
            parts = [
                row["results"][str(setting.iterations)]
                for row in rows
                if (row["maximise"], row["rate"], row["penalty"])
                == (maximise, setting.rate, setting.penalty)
            ]
            values = [value for part in parts for value in part["activation"]]
            activations.append([float("nan") if value is None else value for value in values])
            exploded.append(sum(sum(part["exploded"]) for part in parts))
            n_steps = [n for part in parts for n in part["steps"]]
            steps.append(sum(n_steps) / len(n_steps) / setting.iterations)
        places = search.real.furthest(config.seeds, maximise=maximise)
        real = search.real.activations[places]
        made = torch.tensor(activations, dtype=torch.float64)
        intervals = setting_intervals(real, made, resamples=config.resamples, seed=config.seed)
        return cls(maximise, settings, made, exploded, steps, intervals, real)

    @property
    def order(self) -> list[int]:
        """Numbers of the settings, the nearest first; those without a distance last."""
        return self.intervals.distance.nan_to_num(torch.inf).argsort(stable=True).tolist()

    @property
    def budget(self) -> int:
        """Number of steps that were taken: those of the longest runs, which serve the others."""
        longest = max(setting.iterations for setting in self.settings)
        taken = zip(self.settings, self.n_steps, strict=True)
        fractions = [part for setting, part in taken if setting.iterations == longest]
        return round(sum(fractions) * longest * self.activations.shape[1])

    @property
    def landmarks(self) -> dict[str, int]:
        """Best, median and worst setting."""
        order = self.order
        places = (0, (len(order) - 1) // 2, len(order) - 1)
        return {name: order[at] for name, at in zip(_LANDMARKS, places, strict=True)}

    def best_seed(self, setting: int) -> int:
        """Return the seed with the furthest activation."""
        sign = 1 if self.maximise else -1
        return int((sign * self.activations[setting]).nan_to_num(-torch.inf).argmax())

    def distance(self, setting: int) -> str:
        """Write a distance with its interval; "at least" where rows were stopped for exploding."""
        each = self.intervals
        value, low, high = (float(x[setting]) for x in (each.distance, each.low, each.high))
        text = f"{significant(value)} [{significant(low)}, {significant(high)}]"
        return f"at least {text}" if self.n_exploded[setting] else text

    def table(self, title: str) -> ResultTable:
        """List all settings."""
        columns = ("rank", "rate", "penalty", "iterations", "distance", "told from the best",
                   "furthest", "mean", "exploded", "steps taken")  # fmt: skip
        rows = []
        for rank, i in enumerate(self.order, 1):
            setting, values = self.settings[i], self.activations[i]
            rows.append(
                (
                    str(rank),
                    f"{setting.rate:g}",
                    f"{setting.penalty:g}",
                    str(setting.iterations),
                    self.distance(i),
                    "no" if bool(self.intervals.is_tied[i]) else "yes",
                    significant(float(values[self.best_seed(i)])),
                    significant(float(values.nanmean())),
                    f"{self.n_exploded[i]} of {len(values)}",
                    f"{100 * self.n_steps[i]:.0f} %",
                )
            )
        return ResultTable(title, columns, tuple(rows))

    def examples(self, search: UnitSearch, config: AmGridConfig, direction: str) -> list[Example]:
        """Search the furthest seed of the landmarks again; add the furthest real excerpt."""
        maximiser = search.maximiser(config.prior, maximise=self.maximise)
        made = []
        for name, i in self.landmarks.items():
            setting, seed = self.settings[i], self.best_seed(i)
            result = maximiser.run(**vars(setting), seeds=1, seed=config.seed + seed)
            activation = significant(float(result.activation[0]))
            made.append(Example(f"{direction}, {name}: {activation}", result.input[0, 0].cpu()))
        place = int(search.real.furthest(1, maximise=self.maximise)[0])
        value = significant(float(search.real.activations[place]))
        return [*made, Example(f"{direction}, real: {value}", search.real.values[place, 0])]


def _landmarks(ranked: dict[str, _Ranked], where: str) -> ResultTable:
    """Set best, median and worst beside the paper's."""
    rows = []
    for direction, each in ranked.items():
        for name, i in each.landmarks.items():
            setting = str(each.settings[i])
            rows.append((f"{direction}, ours", name, each.distance(i), setting))
        n_tied = int(each.intervals.is_tied.sum()) - 1
        text = f"{n_tied} of {len(each.settings) - 1} other settings cannot be told from the best"
        rows.append((f"{direction}, ours", "doubt", "", text))
    for direction, distances in PUBLISHED.items():
        for name, distance in zip(_LANDMARKS, distances, strict=True):
            rows.append((f"{direction}, published", name, significant(distance), ""))
    title = f"Distance to the furthest real activations, by rank of the setting ({where})"
    return ResultTable(title, ("direction", "setting", "distance", "which"), tuple(rows))
