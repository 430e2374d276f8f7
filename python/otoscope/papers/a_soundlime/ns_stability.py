"""Count the draws that make an explanation repeatable: paper A's choice of N_s.

U_n is the number of distinct segments in the three named by each of five runs: 3 if all agree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.errors import ParameterError
from otoscope.explain import Explanation
from otoscope.metrics.grouped import grouped_mean
from otoscope.papers.a_soundlime._excerpts import contents_of, origin, spread
from otoscope.papers.a_soundlime._figures import draw_violins
from otoscope.papers.a_soundlime._runs import rows_of_excerpts
from otoscope.papers.a_soundlime._tables import N_TOP, all_coalitions, top_of_draws
from otoscope.papers.runs import write_run
from otoscope.progress import Progress, silent
from otoscope.protocols import Patch
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import percent, with_bounds
from otoscope.seeds import item_seed

__all__ = ["NsStabilityConfig", "ns_stability"]


@dataclass(frozen=True)
class NsStabilityConfig:
    """Settings of the experiment ns-stability.

    Parameters
    ----------
    model : str
        Name of a model, a bundle or FILE.py:FUNCTION; its output is a probability of singing.
    target : str, optional
        Output to explain, by its name. Default: the only one.
    songs : Path, optional
        Folder of stems: of otoscope corpus singing, ccMixter or MUSDB. Default: songs of our
        synthesiser, which need no further package.
    n_songs : int
        Number of songs, >= 1.
    n_positions : int
        Number of excerpts per song, >= 1; those that the model calls sung are explained.
    skip : int
        Frames left out at either end of a song.
    runs : int
        Number of explanations of an excerpt that differ in the seed of the draws, >= 2.
    samples : tuple of int
        Numbers of masks drawn.
    content : str
        Content.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> NsStabilityConfig().samples[:3]
    (1000, 5000, 10000)
    """

    model: str = "svdnet-synth"
    target: str | None = None
    songs: Path | None = None
    n_songs: int = 40
    n_positions: int = 5
    skip: int = 200
    runs: int = 5
    samples: tuple[int, ...] = (1000, 5000, *range(10_000, 70_001, 10_000))
    content: str = "zero"
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.runs < 2 or not self.samples:
            raise ParameterError(
                f"runs is {self.runs} and samples {self.samples}; need >= 2, and one at least"
            )

    @classmethod
    def quick(cls) -> NsStabilityConfig:
        """Return a small version: few songs, three numbers of draws."""
        return cls(n_songs=4, n_positions=3, samples=(1000, 10_000, 70_000))


def ns_stability(
    config: NsStabilityConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    Parameters
    ----------
    config : NsStabilityConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``ns_stability.json`` (settings, tables, all
        excerpts) and ``ns_stability.svg``. During the run ``ns_stability.jsonl`` holds
        the songs done; the same command continues an interrupted run.
    progress : bool or callable
        True shows a bar over the songs.

    Returns
    -------
    list of ResultTable
        Table of the record: U_n by the number of draws, beside the exact limit of the draws.

    Raises
    ------
    ParameterError
        If a setting is wrong, the folder holds an unfinished run of other settings, or the model
        calls no excerpt sung.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section IV.

    Examples
    --------
    >>> ns_stability(NsStabilityConfig.quick(), Path("results"))  # doctest: +SKIP
    """

    def explain(model: Any, patches: list[Patch], seed: int) -> list[dict[str, Any]]:
        content = contents_of(model, [config.content])[config.content]
        explained = all_coalitions(
            model, patches, content, segments="temporal:10", target=config.target
        )
        return [_excerpt(explanation, config, seed) for explanation in explained]

    rows, excerpts, identity = rows_of_excerpts(
        config, out, "ns_stability", explain, progress=progress
    )
    where = f"{config.model}; {origin(config.songs)}"
    tables = [_table(excerpts, config, where)]
    write_run(out, "ns_stability", config, tables, rows, {"model": identity})
    spreads = {
        f"{n:,}": [excerpt["spread"][str(n)] for excerpt in excerpts] for n in config.samples
    }
    draw_violins(
        {f"content {config.content}": spreads},
        out / "ns_stability.svg",
        ylabel=f"distinct segments, {config.runs} runs",
        title=where,
    )
    return tables


def _excerpt(explanation: Explanation, config: NsStabilityConfig, seed: int) -> dict[str, Any]:
    """Repeat an explanation with each number of draws, and time its draws and fits."""
    spreads, seconds = {}, {}
    for n in config.samples:
        began = time.perf_counter()
        lists = [
            top_of_draws(explanation, n_samples=n, seed=item_seed(seed, n, run))
            for run in range(config.runs)
        ]
        seconds[str(n)] = round((time.perf_counter() - began) / config.runs, 5)
        spreads[str(n)] = spread(lists)
    limit = {str(n): top_of_draws(explanation, n_samples=n, seed=None) for n in config.samples}
    return {"spread": spreads, "fit_seconds": seconds, "limit": limit}


def _table(excerpts: list[dict[str, Any]], config: NsStabilityConfig, where: str) -> ResultTable:
    songs, rows = [excerpt["song"] for excerpt in excerpts], []
    for n in config.samples:
        values = [excerpt["spread"][str(n)] for excerpt in excerpts]
        limit = [len(excerpt["limit"][str(n)]) for excerpt in excerpts]
        mean = grouped_mean(values, songs, seed=config.seed)
        seconds = sum(excerpt["fit_seconds"][str(n)] for excerpt in excerpts) / len(excerpts)
        repeated = sum(value <= N_TOP for value in values) / len(values)
        rows.append(
            (
                f"{n:,}",
                with_bounds(mean),
                percent(repeated),
                f"{sum(limit) / len(limit):.2f}",
                f"{1000 * seconds:.1f} ms",
            )
        )
    columns = (
        "draws N_s",
        f"U_n of {config.runs} runs",
        "all runs agree",
        "exact, any run",
        "draw and fit",
    )
    title = f"Segments named by runs that differ in their draws ({where}; {len(songs)} excerpts)"
    return ResultTable(title, columns, tuple(rows))
