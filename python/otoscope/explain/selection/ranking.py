"""Ranks of contents with bootstrap intervals over songs, and whether one is clearly best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.metrics import Interval
from otoscope.metrics.grouped import group_draws

__all__ = ["ContentRank", "ContentRanking", "Scores", "mean_scores", "rank_contents"]

Floats: TypeAlias = NDArray[np.float64]

_ROUNDING = 1e-6  # of the largest score: outputs are float32

Scores: TypeAlias = Callable[[Floats], Floats]
"""Scores [draw, content] of songs that count as often as the weights [draw, song] say."""


@dataclass(frozen=True)
class ContentRank:
    """Hold a content's score and rank, with intervals over songs.

    Parameters
    ----------
    content : str
        Name of the content.
    score : Interval
        Score; higher is better.
    rank : int
        Rank from 1; equal scores have equal ranks.
    low, high : int
        Bounds of the rank over bootstrap samples.

    Examples
    --------
    >>> ContentRank("zero", Interval(2.0, 1.9, 2.2, 0.95), 1, 1, 2).high
    2
    """

    content: str
    score: Interval
    rank: int
    low: int
    high: int


@dataclass(frozen=True)
class ContentRanking:
    """Rank contents by one criterion.

    Parameters
    ----------
    criterion : str
        Name of the criterion.
    ranks : tuple of ContentRank
        Contents, the best first.
    is_clear : bool
        Whether the first is clearly better than each other one.
    p : float
        Probability of the doubt: the largest over the other contents, of the fraction of bootstrap
        samples in which the first is not ahead of it, or 2^-songs if that is larger. Clear is a p
        of at most (1 - level) / (contents * (contents - 1)), since every pair may differ by chance.

    Examples
    --------
    >>> one = np.array([[2.0, 1.0]] * 12)
    >>> rank_contents("truth", ["a", "b"], mean_scores(one), n_songs=12).best
    'a'
    """

    criterion: str
    ranks: tuple[ContentRank, ...]
    is_clear: bool
    p: float

    @property
    def best(self) -> str:
        """Content with the highest score, clearly or not."""
        return self.ranks[0].content

    def of(self, content: str) -> ContentRank:
        """Return the rank of one content."""
        return next(rank for rank in self.ranks if rank.content == content)


def mean_scores(values: Floats, counts: Floats | None = None) -> Scores:
    """Make scores of sums [song, content] of values, and the count of values of each song.

    Without counts the values are means, and each song counts once.
    """
    n = np.ones(len(values)) if counts is None else counts
    return lambda weights: (weights @ values) / (weights @ n)[:, None]


def rank_contents(
    criterion: str,
    contents: Sequence[str],
    scores: Scores,
    *,
    n_songs: int,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> ContentRanking:
    """Rank contents by scores, with intervals over songs drawn with replacement.

    Excerpts of one song depend on each other: songs are drawn, with all that belongs to them.

    Parameters
    ----------
    criterion : str
        Name of the criterion.
    contents : sequence of str
        Names of the contents, in the order of the scores; two or more.
    scores : callable
        Weights of songs [draw, song] -> scores [draw, content]; higher is better.
    n_songs : int
        Number of songs, >= 1; of a single one no interval is known.
    level : float
        Confidence level, in (0, 1).
    resamples : int
        Number of bootstrap samples, >= 20.
    seed : int
        Random seed.

    Returns
    -------
    ContentRanking
        Contents from best to worst.

    Raises
    ------
    ParameterError
        If a number is out of range, or a score of the sample is not finite.

    Examples
    --------
    >>> ranking = rank_contents("x", ["a", "b"], mean_scores(np.array([[1.0, 2.0]])), n_songs=1)
    >>> ranking.best, ranking.is_clear
    ('b', False)
    """
    n = len(contents)
    if n < 2 or not 0 < level < 1:
        raise ParameterError(f"{n} contents and level {level}; need two or more, and one in (0, 1)")
    value = scores(np.ones((1, n_songs)))[0]
    if not np.isfinite(value).all():
        raise ParameterError(f"scores of {criterion} are {value.tolist()}, must be finite")
    drawn = scores(group_draws(n_songs, resamples=resamples, seed=seed))
    drawn = drawn[np.isfinite(drawn).all(1)]
    is_known = n_songs > 1 and len(drawn) > 0
    tails = (1 - level) / 2, (1 + level) / 2
    low, high = np.quantile(drawn, tails, axis=0) if is_known else np.full((2, n), np.nan)
    least = _ROUNDING * float(np.abs(value).max())
    of_draws = _ranks(drawn, least) if is_known else np.array([np.ones(n), np.full(n, n)])
    worst, best = (np.quantile(of_draws, tail, axis=0) for tail in (tails[1], tails[0]))
    rank, order = _ranks(value[None], least)[0], np.argsort(-value, kind="stable")
    first, others = order[0], order[1:]
    behind = [float(np.mean(drawn[:, first] - drawn[:, other] <= least)) for other in others]
    p = max(0.5**n_songs, max(behind) if is_known else 1.0)
    return ContentRanking(
        criterion,
        tuple(
            ContentRank(
                contents[i],
                Interval(float(value[i]), float(low[i]), float(high[i]), level),
                int(rank[i]),
                int(np.floor(best[i])),
                int(np.ceil(worst[i])),
            )
            for i in order
        ),
        p <= (1 - level) / (n * (n - 1)),
        p,
    )


def _ranks(scores: Floats, least: float) -> NDArray[np.int64]:
    """Return ranks [draw, content] from 1; scores that differ by rounding have the better rank."""
    ahead: NDArray[np.int64] = (scores[:, None, :] - scores[:, :, None] > least).sum(-1)
    return ahead + 1
