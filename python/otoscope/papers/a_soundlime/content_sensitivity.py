"""Compare explanations with different contents: paper A's sensitivity to the content.

N_ce is the number of segments that are among the three named with a content and among the three
named with zero: 3 if the content makes no difference, 0.9 for two lists drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.errors import ParameterError
from otoscope.metrics.grouped import grouped_mean
from otoscope.papers.a_soundlime._excerpts import contents_of, origin
from otoscope.papers.a_soundlime._figures import draw_violins
from otoscope.papers.a_soundlime._runs import rows_of_excerpts
from otoscope.papers.a_soundlime._tables import METHODS, all_coalitions, tops_of
from otoscope.papers.runs import write_run
from otoscope.progress import Progress, silent
from otoscope.protocols import Patch
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import with_bounds
from otoscope.seeds import item_seed

__all__ = ["ContentSensitivityConfig", "content_sensitivity"]


@dataclass(frozen=True)
class ContentSensitivityConfig:
    """Settings of the experiment content-sensitivity.

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
    n_samples : int
        Masks drawn by the paper's explainer.
    contents : tuple of str
        Contents to compare with ``reference``.
    reference : str
        Content to compare with.
    segments : tuple of str
        Segments, ten of each kind.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> ContentSensitivityConfig().contents
    ('min_inp', 'mean_inp', 'noise')
    """

    model: str = "svdnet-synth"
    target: str | None = None
    songs: Path | None = None
    n_songs: int = 40
    n_positions: int = 5
    skip: int = 200
    n_samples: int = 70_000
    contents: tuple[str, ...] = ("min_inp", "mean_inp", "noise")
    reference: str = "zero"
    segments: tuple[str, ...] = ("temporal:10", "spectral:10")
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.contents or not self.segments or self.reference in self.contents:
            raise ParameterError(
                f"contents are {self.contents}, reference is {self.reference!r} and segments are "
                f"{self.segments}; need one at least, and contents other than the reference"
            )

    @classmethod
    def quick(cls) -> ContentSensitivityConfig:
        """Return a small version: few songs, all contents."""
        return cls(n_songs=4, n_positions=3)


def content_sensitivity(
    config: ContentSensitivityConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    Parameters
    ----------
    config : ContentSensitivityConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``content_sensitivity.json`` (settings, tables, all
        excerpts) and ``content_sensitivity.svg``. During the run ``content_sensitivity.jsonl``
        holds the songs done; the same command continues an interrupted run.
    progress : bool or callable
        True shows a bar over the songs.

    Returns
    -------
    list of ResultTable
        Table of the record: mean N_ce by segments, content and explainer.

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
    >>> content_sensitivity(ContentSensitivityConfig.quick(), Path("results"))  # doctest: +SKIP
    """

    def explain(model: Any, patches: list[Patch], seed: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"top": {}} for _ in patches]
        contents = contents_of(model, (config.reference, *config.contents))
        for segments in config.segments:
            for name, content in contents.items():
                explained = all_coalitions(
                    model, patches, content, segments=segments, target=config.target
                )
                for i, (own, explanation) in enumerate(zip(found, explained, strict=True)):
                    own["top"].setdefault(segments, {})[name] = tops_of(
                        explanation,
                        n_samples=config.n_samples,
                        seed=item_seed(seed, segments, name, i),
                    )
        return found

    rows, excerpts, identity = rows_of_excerpts(
        config, out, "content_sensitivity", explain, progress=progress
    )
    where = f"{config.model}; {origin(config.songs)}"
    tables = [_table(excerpts, config, where)]
    about = {"model": identity, "methods": METHODS}
    write_run(out, "content_sensitivity", config, tables, rows, about)
    draw_violins(
        {
            f"{segments}, {method}": {
                name: [_common(e, config.reference, name, segments, method) for e in excerpts]
                for name in config.contents
            }
            for segments in config.segments
            for method in METHODS
        },
        out / "content_sensitivity.svg",
        ylabel=f"segments in common with {config.reference}",
        title=where,
    )
    return tables


def _common(excerpt: dict[str, Any], reference: str, name: str, segments: str, method: str) -> int:
    top = excerpt["top"][segments]
    return len({*top[name][method]} & {*top[reference][method]})


def _table(
    excerpts: list[dict[str, Any]], config: ContentSensitivityConfig, where: str
) -> ResultTable:
    songs, rows = [excerpt["song"] for excerpt in excerpts], []
    for segments in config.segments:
        for name in config.contents:
            means = [
                grouped_mean(
                    [_common(e, config.reference, name, segments, method) for e in excerpts],
                    songs,
                    seed=config.seed,
                )
                for method in METHODS
            ]
            rows.append((segments, name, *map(with_bounds, means)))
    columns = ("segments", "content", *METHODS)
    title = (
        f"Segments in common with {config.reference}, of three ({where}; {len(songs)} excerpts; "
        "two lists at random: 0.9)"
    )
    return ResultTable(title, columns, tuple(rows))
