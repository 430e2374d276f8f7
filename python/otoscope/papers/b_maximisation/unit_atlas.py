"""Every unit of a layer: what drives it, made up and real, and whether a concept names it."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise.maximiser import check_search
from otoscope.papers.a_soundlime._excerpts import origin
from otoscope.papers.b_maximisation._atlas import (
    best_units,
    by_concept,
    facts_of,
    headline,
    listed,
    sentence,
    shown_units,
    title_of,
    values_of,
)
from otoscope.papers.b_maximisation._concepts import read_concepts, song_facts
from otoscope.papers.b_maximisation._figures import Example, draw_examples
from otoscope.papers.b_maximisation._naming import (
    NamedUnits,
    NamingRule,
    SongTable,
    name_units,
    name_with_placebo,
)
from otoscope.papers.b_maximisation._search import UnitSearch, mixes
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent, tracked
from otoscope.records import to_json
from otoscope.report.figures import ResultTable
from otoscope.report.units.atlas import AtlasSummary, save_atlas
from otoscope.workflows.recording import load_identified_listener

__all__ = ["UnitAtlasConfig", "unit_atlas", "untrained"]

_N_REAL = 3  # excerpts to show, of different songs
_CAUTION = (
    "A name says that the unit goes with the concept on songs that the name was not chosen on; it "
    "does not say that the unit is used for it, nor that a listener would agree: measured by "
    "models, not by people."
)


@dataclass(frozen=True)
class UnitAtlasConfig:
    """Settings of the experiment unit-atlas.

    Parameters
    ----------
    model : str
        Name of a model, a bundle or FILE.py:FUNCTION.
    layer : str
        Layer whose units are shown.
    tagger : str
        Tagger whose tags are concepts, such as musicnn-mtt; with "none" there are no tags.
    prior : str
        Prior: gan, maco, fourier or raw; auto is gan if the generator fits the model, else maco.
    generator : Path, optional
        Generator of otoscope train prior, or ours: prior-synth (default) or prior-synth-full.
    songs : Path, optional
        Folder of stems: of otoscope corpus singing, ccMixter or MUSDB. Default: songs of our
        synthesiser, which need no further package.
    n_songs : int
        Number of songs, >= 4: names are chosen on one half and tested on the other.
    every : float
        Seconds between excerpts of a song.
    rates, penalties : tuple of float
        Rates of Adam, and factors of the penalty; each unit's setting is chosen by the distance.
    iterations : tuple of int
        Numbers of iterations.
    seeds : int
        Number of searches per setting, >= 2.
    level : float
        Largest false discovery rate over all pairs of units and concepts, in (0, 1).
    least_auc : float
        Least area under the ROC curve of a name on the songs of the test, in [0.5, 1).
    permutations : int
        Number of permutations of the songs, >= 100.
    shuffles : int
        Number of runs with shuffled truths of songs, a placebo, >= 1.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> UnitAtlasConfig().layer
    'fc8'
    """

    model: str = "svdnet-synth"
    layer: str = "fc8"
    tagger: str = "musicnn-mtt"
    prior: str = "auto"
    generator: Path | None = None
    songs: Path | None = None
    n_songs: int = 40
    every: float = 0.5
    rates: tuple[float, ...] = (0.1,)
    penalties: tuple[float, ...] = (0.001,)
    iterations: tuple[int, ...] = (100,)
    seeds: int = 8
    level: float = 0.05
    least_auc: float = 0.75
    permutations: int = 20_000
    shuffles: int = 20
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_search(self.rates, self.penalties, self.iterations, seeds=self.seeds, seed=self.seed)
        if self.seeds < 2 or self.shuffles < 1:
            raise ParameterError(
                f"seeds is {self.seeds} and shuffles {self.shuffles}; must be >= 2 and >= 1"
            )
        if self.n_songs < 4:
            raise ParameterError(f"n_songs is {self.n_songs}, must be >= 4: two for each half")
        _ = self.rule

    @property
    def unit(self) -> str:
        """Index of the first unit."""
        return "0"

    @property
    def rule(self) -> NamingRule:
        """Conditions of a name."""
        least = 3 if self.n_songs >= 12 else 1
        return NamingRule(self.level, self.least_auc, least, self.permutations, self.seed)

    @classmethod
    def quick(cls) -> UnitAtlasConfig:
        """Return a small version, without a tagger."""
        return cls(
            model="synth-singing",
            tagger="none",
            n_songs=8,
            every=1.0,
            iterations=(5,),
            seeds=2,
            permutations=2000,
            shuffles=5,
        )


def unit_atlas(
    config: UnitAtlasConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record, its figure, and a page to browse.

    Parameters
    ----------
    config : UnitAtlasConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``unit_atlas.json``, ``unit_atlas.svg`` and
        ``unit_atlas.html``, with sounds. During the run ``unit_atlas.jsonl`` holds the units done;
        the same command continues an interrupted run.
    progress : bool or callable
        True shows a bar over the "units".

    Returns
    -------
    list of ResultTable
        Units with and without names, beside placebos; the names; all units.

    Raises
    ------
    ParameterError
        If a setting is wrong, there is no such layer, the folder holds an unfinished run of other
        settings, no concept is in enough songs, or the generator does not fit the model.

    Notes
    -----
    Placebos: the same network without training, and the truths of songs given to other songs. A
    name is the concept whose area under the ROC curve is furthest from 0.5 on one half of the
    songs; it holds if the other half has an area of ``least_auc`` or more on the same side, and a
    false discovery rate of at most ``level`` over all pairs of units and concepts.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`; Wu et al. (2024) :cite:`wu2024and`, who name units of
    audio networks and count those that get no name.

    Examples
    --------
    >>> unit_atlas(UnitAtlasConfig.quick(), Path("results"))  # doctest: +SKIP
    """
    search = UnitSearch(config)
    tagger, identity = _tagger(config)
    features = search.features(config.layer)(search.real.values)
    prior = search.prior_name(config.prior)
    units = [f"unit {unit}" for unit in range(features.shape[1])]

    def compute(index: int) -> dict[str, Any]:
        return _searched(search.of_unit(index, features[:, index]), config, prior)

    settings = {"config": config, "prior": prior, "tagger": identity, **search.about}
    rows = rows_of_songs(
        out, "unit_atlas", settings, units, compute, progress=progress, shown="units"
    )
    table = _concepts(search, config, tagger)
    named, counts = _names(search, features, table, config, progress)
    where = f"{config.layer} of {config.model}; {origin(config.songs)}"
    tables = [headline(counts, where), by_concept(named), listed(rows, named)]
    examples = [Example(title_of(rows[i], named, i), values_of(rows[i])) for i in best_units(named)]
    draw_examples(out / "unit_atlas.svg", examples, search.model, title=where)
    about = {
        "model": search.identity,
        "prior": prior,
        "named": counts,
        "concepts": named.concepts,
        "left_out": named.left_out,
    }
    shown = shown_units(rows, named, search, config)
    rows = [{k: v for k, v in row.items() if k != "example"} for row in rows]
    summary = AtlasSummary(
        layer=config.layer,
        about=f"{config.model} · prior {prior} · {origin(config.songs)}",
        sentence=sentence(counts),
        cautions=[_CAUTION],
        facts=facts_of(config, named, search),
        record=to_json({**about, "rows": rows, "tables": tables}),
    )
    save_atlas(shown, out / "unit_atlas.html", summary)
    write_run(out, "unit_atlas", config, tables, rows, about)
    return tables


def untrained(model: Any, seed: int) -> Any:
    """Copy a model, with new random weights by the initialisation of its modules.

    Parameters
    ----------
    model : nn.Module
        Model, which stays as it is.
    seed : int
        Random seed.

    Returns
    -------
    nn.Module
        The copy.

    Raises
    ------
    ParameterError
        If no module says how it is initialised.

    Examples
    --------
    >>> net = torch.nn.Linear(2, 2)
    >>> bool((untrained(net, 1234).weight == net.weight).all())
    False
    """
    copied = deepcopy(model)
    n_reset = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in copied.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
                n_reset += 1
    if not n_reset:
        raise ParameterError("no module of the model has reset_parameters: no untrained copy")
    return copied


def _tagger(config: UnitAtlasConfig) -> tuple[Any, Any]:
    if config.tagger == "none":
        return None, None
    return load_identified_listener(config.tagger, device=config.device)


def _searched(search: UnitSearch, config: UnitAtlasConfig, prior: str) -> dict[str, Any]:
    """Search a unit under all settings; return the one nearest to the real excerpts."""
    real = search.real.activations[search.real.furthest(config.seeds, maximise=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a unit without gradient
        grid = search.maximiser(config.prior, maximise=True).grid(
            rates=config.rates,
            penalties=(0.0,) if prior == "maco" else config.penalties,
            iterations=config.iterations,
            seeds=config.seeds,
            seed=config.seed,
        )
    best = grid.rank(real).best
    result = best.result
    return {
        "setting": result.setting,
        "distance": best.distance,
        "activation": result.activation,
        "flat": int(result.flat.sum()),
        "exploded": int(result.exploded.sum()),
        "best_seed": result.seeds[result.best],
        "furthest": float(result.activation[result.best]),
        "real": real,
        "places": _places(search),
        "example": [
            [round(v, 3) for v in frame] for frame in result.input[result.best, 0].tolist()
        ],
    }


def _places(search: UnitSearch) -> list[dict[str, Any]]:
    """Place the excerpts that drive the unit furthest, of different songs."""
    places: dict[str, dict[str, Any]] = {}
    songs, step = search.real.songs, search.hop * search.model.hop_length
    for index in search.real.furthest(len(songs), maximise=True).tolist():
        if songs[index] not in places:
            start = (index - songs.index(songs[index])) * step / search.model.sample_rate
            places[songs[index]] = {
                "index": index,
                "song": songs[index],
                "start": start,
                "activation": float(search.real.activations[index]),
            }
        if len(places) == _N_REAL:
            break
    return [*places.values()]


def _concepts(search: UnitSearch, config: UnitAtlasConfig, tagger: Any) -> SongTable:
    songs = search.real.songs
    return read_concepts(
        mixes(config, search.model, len(search.names)),
        [songs.count(name) for name in search.names],
        model=search.model,
        hop=search.hop,
        facts=song_facts(config.songs, search.names),
        tagger=tagger,
    )


def _names(
    search: UnitSearch,
    features: Tensor,
    table: SongTable,
    config: UnitAtlasConfig,
    progress: Progress,
) -> tuple[NamedUnits, dict[str, Any]]:
    """Name the units; count those of the placebos too."""
    activations: NDArray[np.float64] = features.numpy()
    for _ in tracked(progress, range(1), "permutations"):
        named, shuffled = name_with_placebo(
            activations, table, config.rule, shuffles=config.shuffles
        )
    other = search.of_unit(0, search.real.activations)
    other.model = untrained(search.model, config.seed)
    random = name_units(
        other.features(config.layer)(search.real.values).numpy(), table, config.rule
    )
    counts = {
        "units": features.shape[1],
        "trained": named.n_named,
        "untrained": random.n_named,
        "shuffled": shuffled,
    }
    return named, counts
