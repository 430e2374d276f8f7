"""Choose the content for a model: by stems whose sung segments are known, or without labels."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from otoscope import records
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.content import Content
from otoscope.explain.query import FewEffectiveSamples
from otoscope.explain.result import Explanation
from otoscope.explain.selection.criteria import (
    Feature,
    closeness,
    cross_faithfulness,
    frechet,
    occluded_features,
    other_contents,
    repeatability,
    right_segments,
    song_means,
)
from otoscope.explain.selection.ranking import (
    ContentRanking,
    Scores,
    mean_scores,
    rank_contents,
)
from otoscope.explain.selection.road import road_scores
from otoscope.explain.soundlime import SoundLIME
from otoscope.progress import Progress, silent, tracked

__all__ = ["CRITERIA", "DEFAULT_CONTENTS", "ContentChoice", "choose_content"]

DEFAULT_CONTENTS = ("mean_inp", "zero", "min_inp", "mean_band", "noise")
"""Contents to choose from, by default."""

FEW_SONGS = 4
"""Fewest songs for a distance: its pairs are of different songs."""

_DISTANCES = 200
"""Bootstrap samples of the Frechet distance, which takes a decomposition for each."""

CRITERIA = {
    "truth": "segments named among those that the voice replaced",
    "faithfulness": "insertion less deletion, occluded with the other contents",
    "road": "least less most relevant removed first, filled by imputation (ROAD)",
    "closeness": "occluded inputs near real ones in a layer (kernel distance, negative)",
    "frechet": "the same by the Frechet distance, negative",
    "stability": "rank correlation after shifted segments and faint noise",
}
"""Criteria, in the order in which they decide; higher is better."""


@dataclass(frozen=True)
class ContentChoice:
    """Hold the ranks of contents for a model.

    Parameters
    ----------
    contents : tuple of str
        Contents, in the order given.
    rankings : tuple of ContentRanking
        Ranks by each criterion that was measured; the first decides.
    table : tuple of tuple of float
        Insertion less deletion of explanations with content i, occluded with content j. On the
        diagonal a content judges itself: those cells decide nothing.
    n_songs, n_excerpts : int
        Number of songs and of excerpts.

    Examples
    --------
    >>> import torch
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> choice = choose_content(lime, torch.rand(2, 4, 1), contents=("zero", "min_inp", "mean_inp"))
    >>> choice.is_clear
    False
    """

    contents: tuple[str, ...]
    rankings: tuple[ContentRanking, ...]
    table: tuple[tuple[float, ...], ...]
    n_songs: int
    n_excerpts: int

    @property
    def ranking(self) -> ContentRanking:
        """Ranks by the criterion that decides."""
        return self.rankings[0]

    @property
    def best(self) -> str:
        """Content that ranks first, clearly or not."""
        return self.ranking.best

    @property
    def is_clear(self) -> bool:
        """Whether the first content is clearly better than each other one."""
        return self.ranking.is_clear

    @property
    def sentence(self) -> str:
        """State the choice in one sentence."""
        of = f"{self.n_excerpts} excerpts of {self.n_songs} song{'s' * (self.n_songs != 1)}"
        by = CRITERIA[self.ranking.criterion]
        if self.is_clear:
            return f"{self.best} is clearly best on {of}, by {by}"
        rivals = [rank.content for rank in self.ranking.ranks[1:] if rank.low == 1]
        shared = f"; {', '.join(rivals)} may be first as well" if rivals else ""
        return f"No content is clearly best on {of}: {self.best} ranks first by {by}{shared}"

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Return the choice in JSON's types."""
        content = {"sentence": self.sentence, "best": self.best, "is_clear": self.is_clear}
        fields = records.to_plain(self)
        return document("otoscope.ContentChoice", 1, {**content, **fields})


def choose_content(  # noqa: PLR0913 - the criteria's inputs, all keyword-only
    lime: SoundLIME,
    excerpts: Sequence[Any] | Tensor,
    *,
    contents: Sequence[str | Content] = DEFAULT_CONTENTS,
    songs: Sequence[object] | None = None,
    truth: Sequence[Collection[int]] | None = None,
    feature: Feature | None = None,
    n_changes: int = 1,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> ContentChoice:
    """Rank contents for a model and its excerpts, and say whether one is clearly best.

    A content does not judge itself: the explanation with content i is measured by occluding with
    content j, and the cells with i = j decide nothing.

    Parameters
    ----------
    lime : SoundLIME
        Explainer with model, segments, target and design; its own content does not count.
    excerpts : sequence of Patch, Tensor or sound, or Tensor [excerpt, frame, mel]
        Excerpts whose output is to be explained: those that the model answers with yes.
    contents : sequence of str or Content
        Contents, three or more; with ``truth`` two are enough.
    songs : sequence, optional
        Song of each excerpt. Intervals draw songs, since the excerpts of one depend on each other.
        By default each excerpt is a song of its own.
    truth : sequence of collection of int, optional
        Segments of each excerpt that hold what the target is, as `draw_mixes` makes them. They
        decide then.
    feature : callable, optional
        [batch, 1, frame, mel] -> [batch, column], such as ``model.tap("fc8")``: occluded inputs are
        compared with real ones there by the kernel and the Frechet distance, if there are four
        songs or more.
    n_changes : int
        Number of shifts of the segments, and of noises, for the stability; 0 leaves it out.
    level : float
        Confidence level, in (0, 1).
    resamples : int
        Number of bootstrap samples, >= 20.
    seed : int
        Random seed.
    progress : bool or callable
        True shows a bar over the contents, and one over the excerpts.

    Returns
    -------
    ContentChoice
        Ranks by each criterion with intervals over songs.

    Raises
    ------
    ParameterError
        If there are too few contents, two of one name, no excerpt, or numbers that do not fit; if
        the model fails on an occluded excerpt, with the name of the content.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section V (stems). Rong et al. (2022)
    :cite:`rong2022` (ROAD).

    Examples
    --------
    >>> import torch
    >>> from otoscope.models import load
    >>> model = load("synth-singing")
    >>> lime = SoundLIME(model, segments="temporal:5")
    >>> excerpts = torch.randn(2, 115, 80)
    >>> print(choose_content(lime, excerpts, contents=("zero", "min_inp", "mean_inp"), n_changes=0))
    No content is clearly best on 2 excerpts of 2 songs: ...
    """
    items = list(excerpts)
    limes = [lime.varied(content=content) for content in contents]
    names = tuple(each.settings.content for each in limes)
    _check(names, items, songs, truth, n_changes)
    explained = _explained(limes, items, progress)
    keys = list(range(len(items))) if songs is None else list(songs)
    unique = list(dict.fromkeys(keys))
    place, n_songs = [unique.index(key) for key in keys], len(unique)
    tables = np.zeros((len(items), len(limes), len(limes)))
    beside: dict[str, list[Any]] = {name: [] for name in CRITERIA}
    is_sound = explained[0][0].mixture is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewEffectiveSamples)
        for e in tracked(progress, range(len(items)), "excerpts"):
            of_excerpt = [explanations[e] for explanations in explained]
            tables[e] = cross_faithfulness(limes, of_excerpt)
            if truth is not None:
                beside["truth"].append([right_segments(x, truth[e]) for x in of_excerpt])
            if not is_sound:
                attributions = [x.coefficients for x in of_excerpt]
                beside["road"].append(road_scores(limes[0], of_excerpt[0], attributions, seed=seed))
            if n_changes:
                beside["stability"].append(
                    [
                        repeatability(own, x, n=n_changes, seed=seed)
                        for own, x in zip(limes, of_excerpt, strict=True)
                    ]
                )
    by_song = song_means(tables, place, n_songs)
    scores: dict[str, Scores] = {
        name: mean_scores(song_means(np.array(values, float), place, n_songs))
        for name, values in beside.items()
        if values
    }
    if len(limes) > 2:
        scores["faithfulness"] = other_contents(by_song)
    if feature is not None and n_songs >= FEW_SONGS and not is_sound:
        features = occluded_features(feature, limes, explained, place, seed=seed)
        scores["closeness"], scores["frechet"] = closeness(features), frechet(features)
    rankings = tuple(
        rank_contents(
            name,
            names,
            scores[name],
            n_songs=n_songs,
            level=level,
            resamples=min(resamples, _DISTANCES) if name == "frechet" else resamples,
            seed=seed,
        )
        for name in CRITERIA
        if name in scores
    )
    mean_table = tuple(tuple(map(float, row)) for row in by_song.mean(0))
    return ContentChoice(names, rankings, mean_table, n_songs, len(items))


def _explained(
    limes: Sequence[SoundLIME], items: list[Any], progress: Progress
) -> list[list[Explanation]]:
    """Explain all excerpts with each content; an error names the content."""
    explained = []
    for lime in tracked(progress, list(limes), "contents"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FewEffectiveSamples)
                explained.append(lime.explain(items))
        except ParameterError as err:
            raise err.within(f"content {lime.settings.content}") from err
    return explained


def _check(
    names: tuple[str, ...],
    items: list[Any],
    songs: Sequence[object] | None,
    truth: Sequence[Collection[int]] | None,
    n_changes: int,
) -> None:
    needed = 3 if truth is None else 2
    if len(names) < needed:
        raise ParameterError(
            f"{len(names)} contents are too few to choose from: each is judged by the others, so "
            "that at least three are needed, or two with stems",
            advice=Advice("name more with ", Argument("contents", ",".join(DEFAULT_CONTENTS))),
        )
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"contents name {', '.join(doubled)} more than once")
    for name, given in (("songs", songs), ("truth", truth)):
        if given is not None and len(given) != len(items):
            raise ParameterError(f"{name} has {len(given)} entries for {len(items)} excerpts")
    if not items or n_changes < 0:
        raise ParameterError(
            f"{len(items)} excerpts came and n_changes is {n_changes}; need >= 1 and >= 0"
        )
    if truth is not None and not all(truth):
        raise ParameterError("truth has an excerpt without segments; leave it out")
