"""Repeat explanations with each content: paper A's stability of contents.

U_n is the number of distinct segments in the three named by each of five runs: 3 if all agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.errors import ParameterError
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

__all__ = ["ContentStabilityConfig", "content_stability"]

CONTENTS = ("zero", "min_data", "min_inp", "mean_inp", "noise")
"""The paper's contents."""


@dataclass(frozen=True)
class ContentStabilityConfig:
    """Settings of the experiment content-stability.

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
    n_samples : int
        Masks drawn by the paper's explainer.
    contents : tuple of str
        Contents.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> ContentStabilityConfig().contents[1]
    'min_data'
    """

    model: str = "svdnet-synth"
    target: str | None = None
    songs: Path | None = None
    n_songs: int = 40
    n_positions: int = 5
    skip: int = 200
    runs: int = 5
    n_samples: int = 70_000
    contents: tuple[str, ...] = CONTENTS
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.runs < 2 or not self.contents:
            raise ParameterError(
                f"runs is {self.runs} and contents {self.contents}; need >= 2, and one at least"
            )

    @classmethod
    def quick(cls) -> ContentStabilityConfig:
        """Return a small version: few songs, all contents."""
        return cls(n_songs=4, n_positions=3)


def content_stability(
    config: ContentStabilityConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    Parameters
    ----------
    config : ContentStabilityConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``content_stability.json`` (settings, tables, all
        excerpts) and ``content_stability.svg``. During the run ``content_stability.jsonl`` holds
        the songs done; the same command continues an interrupted run.
    progress : bool or callable
        True shows a bar over the songs.

    Returns
    -------
    list of ResultTable
        Table of the record: U_n by content, beside the exact limit of the draws.

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
    >>> content_stability(ContentStabilityConfig.quick(), Path("results"))  # doctest: +SKIP
    """

    def explain(model: Any, patches: list[Patch], seed: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"spread": {}, "exact": {}} for _ in patches]
        for name, content in contents_of(model, config.contents).items():
            explained = all_coalitions(
                model, patches, content, segments="temporal:10", target=config.target
            )
            for own, explanation in zip(found, explained, strict=True):
                lists = [
                    top_of_draws(
                        explanation, n_samples=config.n_samples, seed=item_seed(seed, name, run)
                    )
                    for run in range(config.runs)
                ]
                limit = top_of_draws(explanation, n_samples=config.n_samples, seed=None)
                own["spread"][name], own["exact"][name] = spread(lists), len(limit)
        return found

    rows, excerpts, identity = rows_of_excerpts(
        config, out, "content_stability", explain, progress=progress
    )
    where = f"{config.model}; {origin(config.songs)}"
    tables = [_table(excerpts, config, where)]
    write_run(out, "content_stability", config, tables, rows, {"model": identity})
    draw_violins(
        {
            title: {name: [e[kind][name] for e in excerpts] for name in config.contents}
            for title, kind in (("paper_a", "spread"), ("paper_a, exact", "exact"))
        },
        out / "content_stability.svg",
        ylabel=f"distinct segments, {config.runs} runs",
        title=where,
    )
    return tables


def _table(
    excerpts: list[dict[str, Any]], config: ContentStabilityConfig, where: str
) -> ResultTable:
    songs, rows = [excerpt["song"] for excerpt in excerpts], []
    for name in config.contents:
        values = [excerpt["spread"][name] for excerpt in excerpts]
        exact = [excerpt["exact"][name] for excerpt in excerpts]
        repeated = sum(value <= N_TOP for value in values) / len(values)
        rows.append(
            (
                name,
                with_bounds(grouped_mean(values, songs, seed=config.seed)),
                percent(repeated),
                f"{sum(exact) / len(exact):.2f}",
            )
        )
    columns = (
        "content",
        f"U_n of {config.runs} runs of {config.n_samples:,} draws",
        "all runs agree",
        "exact, any run",
    )
    title = f"Segments named by runs that differ in their draws ({where}; {len(songs)} excerpts)"
    return ResultTable(title, columns, tuple(rows))
