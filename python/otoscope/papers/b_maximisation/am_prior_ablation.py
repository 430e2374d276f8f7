"""Four priors: what a search reaches with each, and how near to real excerpts its inputs are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise import MaximisationResult
from otoscope.explain.maximise.doubt import setting_intervals
from otoscope.explain.maximise.inversion import Inversion
from otoscope.explain.maximise.maximiser import check_search
from otoscope.metrics import kernel_distance, kernel_interval
from otoscope.metrics.halves import LEAST
from otoscope.papers.a_soundlime._excerpts import origin
from otoscope.papers.b_maximisation._figures import Example, draw_examples
from otoscope.papers.b_maximisation._search import UnitSearch, directions_of
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import percent, significant

__all__ = ["AmPriorAblationConfig", "am_prior_ablation", "fraction_in_range", "nearest"]

PRIORS = ("raw", "fourier", "maco", "gan")


@dataclass(frozen=True)
class AmPriorAblationConfig:
    """Settings of the experiment am-prior-ablation.

    Parameters
    ----------
    model : str
        Name of a model, a bundle or FILE.py:FUNCTION.
    layer : str
        Layer of the unit; the logits, not the probabilities.
    unit : str
        Unit of the layer; see otoscope maximise.
    feature_layer : str
        Layer whose units are compared with those of real excerpts.
    priors : tuple of str
        Priors to compare.
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
        Rates of Adam, and factors of the penalty; each prior's setting is chosen by the distance.
    iterations : tuple of int
        Numbers of iterations.
    seeds : int
        Number of searches per setting, >= 2.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> AmPriorAblationConfig().priors
    ('raw', 'fourier', 'maco', 'gan')
    """

    model: str = "svdnet-synth"
    layer: str = "fc9"
    unit: str = "0"
    feature_layer: str = "fc8"
    priors: tuple[str, ...] = PRIORS
    generator: Path | None = None
    direction: str = "maximise"
    songs: Path | None = None
    n_songs: int = 40
    every: float = 0.5
    rates: tuple[float, ...] = (0.1, 0.01)
    penalties: tuple[float, ...] = (0.01, 0.001)
    iterations: tuple[int, ...] = (100, 300)
    seeds: int = 20
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_search(self.rates, self.penalties, self.iterations, seeds=self.seeds, seed=self.seed)
        directions_of(self.direction)
        if self.seeds < 2 or not self.priors or not {*self.priors} <= {*PRIORS}:
            raise ParameterError(
                f"seeds is {self.seeds} and priors are {self.priors}; need two seeds or more, and "
                f"one or more of {', '.join(PRIORS)}"
            )

    @classmethod
    def quick(cls) -> AmPriorAblationConfig:
        """Return a small version: few seeds and iterations, all priors."""
        return cls(
            model="synth-singing",
            n_songs=4,
            every=2.0,
            rates=(0.1,),
            penalties=(0.001,),
            iterations=(5, 20),
            seeds=3,
        )


def am_prior_ablation(
    config: AmPriorAblationConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record, its figure, and a sound per prior.

    Parameters
    ----------
    config : AmPriorAblationConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``am_prior_ablation.json``, the ``.svg`` of examples
        and their sounds. During the run ``am_prior_ablation.jsonl`` holds the priors done; the same
        command continues an interrupted run.
    progress : bool or callable
        True shows a bar over the "priors".

    Returns
    -------
    list of ResultTable
        One table: priors, and real excerpts beside them.

    Raises
    ------
    ParameterError
        If a setting is wrong, the folder holds an unfinished run of other settings, or the
        generator does not fit the model.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`; Fel et al. (2023) :cite:`fel2023`.

    Examples
    --------
    >>> am_prior_ablation(AmPriorAblationConfig.quick(), Path("results"))  # doctest: +SKIP
    """
    search = UnitSearch(config)
    feature = search.features(config.feature_layer)
    tasks = [(m, prior) for m in directions_of(config.direction) for prior in config.priors]

    def compute(index: int) -> dict[str, Any]:
        maximise, prior = tasks[index]
        result, distances = _chosen(search, config, prior, maximise=maximise)
        places = search.real.furthest(config.seeds, maximise=maximise)
        real = search.real.values[places]
        return {
            "prior": prior,
            "maximise": maximise,
            "setting": result.setting,
            "distances": distances,
            "activation": result.activation,
            "of_sound": _by_sound(search, result.input),
            "in_range": [fraction_in_range(x, search.real.values) for x in result.input],
            "nearest": [nearest(x, search.real.values)[1] for x in result.input],
            "kernel": _kernel(feature(real), feature(result.input), (_songs(search, places), None)),
            "example": result.input[result.best, 0],
        }

    names = [f"{'maximise' if m else 'minimise'}, {prior}" for m, prior in tasks]
    settings = {"config": config, **search.about}
    rows = rows_of_songs(
        out, "am_prior_ablation", settings, names, compute, progress=progress, shown="priors"
    )
    where = f"{config.model}; {origin(config.songs)}"
    reals = [_real_row(search, config, feature, m) for m in directions_of(config.direction)]
    table = _table([*rows, *reals], config, where)
    examples = [Example(row["song"], torch.tensor(row["example"])) for row in rows]
    for maximise in directions_of(config.direction):
        place = int(search.real.furthest(1, maximise=maximise)[0])
        name = f"{'maximise' if maximise else 'minimise'}, real"
        examples.append(Example(name, search.real.values[place, 0].cpu()))
    draw_examples(out / "am_prior_ablation.svg", examples, search.model, title=where, sounds=out)
    write_run(
        out, "am_prior_ablation", config, [table], rows, {"model": search.identity, "real": reals}
    )
    return [table]


def fraction_in_range(values: Tensor, real: Tensor) -> float:
    """Return the fraction of cells [1, frame, mel] between the extremes of their band in real ones.

    Parameters
    ----------
    values : Tensor [1, frame, mel]
        Input of the model.
    real : Tensor [excerpt, 1, frame, mel]
        Real inputs.

    Returns
    -------
    float
        Fraction, in [0, 1].

    Examples
    --------
    >>> fraction_in_range(torch.tensor([[[0.0, 5.0]]]), torch.tensor([[[[0.0, 1.0]]]]))
    0.5
    """
    low, high = real.amin((0, 1, 2)), real.amax((0, 1, 2))
    return float(((values >= low) & (values <= high)).double().mean())


def nearest(values: Tensor, real: Tensor) -> tuple[int, float]:
    """Find the nearest real input.

    Parameters
    ----------
    values : Tensor [1, frame, mel]
        Input of the model.
    real : Tensor [excerpt, 1, frame, mel]
        Real inputs.

    Returns
    -------
    place : int
        Its index.
    distance : float
        Root mean square difference of the cells.

    Examples
    --------
    >>> nearest(torch.zeros(1, 2, 1), torch.tensor([[[[3.0], [3.0]]], [[[1.0], [1.0]]]]))
    (1, 1.0)
    """
    distances = torch.stack([(part - values).square().mean().sqrt() for part in real])
    place = int(distances.argmin())
    return place, float(distances[place])


def _chosen(
    search: UnitSearch, config: AmPriorAblationConfig, prior: str, *, maximise: bool
) -> tuple[MaximisationResult, list[dict[str, Any]]]:
    """Search all settings of a prior; return the one nearest to the real excerpts."""
    grid = search.maximiser(prior, maximise=maximise).grid(
        rates=config.rates,
        penalties=(0.0,) if prior == "maco" else config.penalties,
        iterations=config.iterations,
        seeds=config.seeds,
        seed=config.seed,
    )
    real = search.real.activations[search.real.furthest(config.seeds, maximise=maximise)]
    made = torch.stack([result.activation for result in grid.results])
    intervals = setting_intervals(real, made, seed=config.seed)
    best = int(intervals.distance.nan_to_num(torch.inf).argmin())
    rows = [
        {
            "setting": result.setting,
            "distance": intervals.distance[i],
            "interval": [intervals.low[i], intervals.high[i]],
            "is_tied": intervals.is_tied[i],
            "exploded": int(result.exploded.sum()),
        }
        for i, result in enumerate(grid.results)
    ]
    return grid.results[best], [rows[best], *(row for row in rows if row is not rows[best])]


def _by_sound(search: UnitSearch, inputs: Tensor) -> list[float] | None:
    """Return the activations by the sounds made of inputs; None if the front end has no inverse."""
    inversion, model = Inversion.of(search.model), search.model
    if inversion is None:
        return None
    heard = []
    for i, values in enumerate(inputs):
        y = inversion.sound(values[0], seed=i)
        if y is None:
            return None
        first, n_fft = model.front_end.first_sample, model.front_end.n_fft
        padded = torch.nn.functional.pad(y, (first, n_fft)).to(values)
        heard.append(model.prepare(padded)[: values.shape[1]])
    activations: list[float] = search.activations(torch.stack(heard)[:, None]).tolist()
    return activations


def _kernel(real: Tensor, made: Tensor, songs: tuple[Tensor, Tensor | None]) -> list[float]:
    """Return the kernel distance of features, and its interval where songs and seeds suffice."""
    n_groups = [len(made if songs[1] is None else songs[1].unique()), len(songs[0].unique())]
    if min(n_groups) < LEAST:
        return [float(kernel_distance(real, made))]
    each = kernel_interval(real, made, groups=songs)
    return [each.value, each.low, each.high]


def _songs(search: UnitSearch, places: Tensor) -> Tensor:
    """Number the songs of real excerpts [place]."""
    names = {name: i for i, name in enumerate(dict.fromkeys(search.real.songs))}
    return torch.tensor([names[search.real.songs[int(place)]] for place in places])


def _real_row(
    search: UnitSearch, config: AmPriorAblationConfig, feature: Any, maximise: bool
) -> dict[str, Any]:
    """Measure the furthest real excerpts as if they were made, against others of other songs."""
    places = search.real.furthest(2 * config.seeds, maximise=maximise)
    first, second = places[::2], places[1::2]
    values, songs = search.real.values, search.real.songs
    others = [torch.tensor([song != songs[int(place)] for song in songs]) for place in second]
    pairs = [(values[int(p)], values[o]) for p, o in zip(second, others, strict=True) if o.any()]
    return {
        "prior": "real excerpts",
        "maximise": maximise,
        "activation": search.real.activations[second],
        "of_sound": _by_sound(search, values[second]),
        "in_range": [fraction_in_range(x, rest) for x, rest in pairs],
        "nearest": [nearest(x, rest)[1] for x, rest in pairs],
        "kernel": _kernel(
            feature(values[first]),
            feature(values[second]),
            (_songs(search, first), _songs(search, second)),
        ),
    }


def _table(rows: list[dict[str, Any]], config: AmPriorAblationConfig, where: str) -> ResultTable:
    columns = ("direction", "prior", "setting", "distance", "activation", "by its sound",
               f"kernel distance, {config.feature_layer}", "cells in range", "nearest real",
               )  # fmt: skip
    lines = []
    for row in rows:
        distance = "—"
        if chosen := row.get("distances"):
            value, (low, high) = chosen[0]["distance"], chosen[0]["interval"]
            distance = f"{significant(value)} [{significant(low)}, {significant(high)}]"
        setting = row.get("setting")
        lines.append(
            (
                "maximise" if row["maximise"] else "minimise",
                row["prior"],
                "—" if setting is None else "{rate:g}, {penalty:g}, {iterations}".format(**setting),
                distance,
                _mean(row["activation"]),
                _mean(row["of_sound"]),
                _with_bounds(row["kernel"]),
                percent(_number(row["in_range"]), 1),
                _mean(row["nearest"]),
            )
        )
    title = f"Inputs of each prior's best setting; means over {config.seeds} seeds ({where})"
    return ResultTable(title, columns, tuple(lines))


def _with_bounds(values: Any) -> str:
    """Write a value, and its interval if it has one."""
    value, *bounds = (significant(float(x)) for x in values)
    return f"{value} [{', '.join(bounds)}]" if bounds else value


def _number(values: Any) -> float:
    numbers = torch.as_tensor(values, dtype=torch.float64)
    return float(numbers.nanmean()) if len(numbers) else float("nan")


def _mean(values: Any) -> str:
    return "—" if values is None else significant(_number(values))
