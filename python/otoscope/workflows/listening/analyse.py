"""Analysis of a listening test: screening, means, and agreement of a score with ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError, require_extra
from otoscope.intervene.statistics.significance import holm
from otoscope.metrics import Interval
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import UNKNOWN, format_p, significant, with_bounds
from otoscope.workflows.listening.agreement import mixed_means, rank_agreement
from otoscope.workflows.listening.answers import (
    Answer,
    ListeningKey,
    answer_files,
    read_answers,
    read_key,
)

__all__ = ["ConditionRating", "PairResult", "RatingsConfig", "RatingsResult", "analyse_ratings"]

_LEVEL = 0.95
_LEAST_REFERENCE, _MOST_ANCHOR, _MOST_FAILED = 90.0, 90.0, 0.15  # BS.1534-3, post-screening


@dataclass(frozen=True)
class RatingsConfig:
    """Answers to a listening test.

    Parameters
    ----------
    key : Path
        Key of the test, key.json, or the folder of the export.
    answers : tuple of Path
        CSV files that the page wrote, one or more per listener, or folders of them.
    keep_failed : bool
        Keep the answers of listeners who fail the reference or an anchor.
    seed : int
        Random seed of the bootstrap of listeners.
    """

    key: Path
    answers: tuple[Path, ...]
    keep_failed: bool = False
    seed: int = 0


@dataclass(frozen=True)
class ConditionRating:
    """Ratings of a condition.

    Parameters
    ----------
    condition : str
        Name.
    role : str
        Role: "reference", "anchor" or "".
    n : int
        Number of ratings.
    mean : Interval
        Mean, with bounds of the mixed model if there is one.
    median : float
        Median.
    score : float, optional
        Score that ratings are compared with.
    """

    condition: str
    role: str
    n: int
    mean: Interval
    median: float
    score: float | None


@dataclass(frozen=True)
class PairResult:
    """Answers to which of two conditions X was.

    Parameters
    ----------
    pair : str
        Both conditions.
    n : int
        Number of answers.
    right : Interval
        Fraction of right ones; 0.5 if they cannot be told apart (Clopper-Pearson bounds).
    p : float
        One-sided p-value of a binomial test against 0.5, by Holm over all pairs.
    """

    pair: str
    n: int
    right: Interval
    p: float


@dataclass(frozen=True, eq=False)
class RatingsResult:
    """Hold the analysed answers of listeners.

    Parameters
    ----------
    config : RatingsConfig
        Settings.
    key : ListeningKey
        Key of the test.
    listeners : tuple of str
        Listeners whose answers count.
    failed : dict
        Listeners who fail the screening, with the reason.
    conditions : tuple of ConditionRating
        Conditions, the best first (mushra).
    pairs : tuple of PairResult
        Pairs of conditions (abx).
    tau : Interval, optional
        Kendall's tau-b of conditions between small scores and large ratings.
    slope : Interval, optional
        Change of the rating per rank of the score, by the mixed model.
    notes : tuple of str
        Limits of the result.
    """

    config: RatingsConfig
    key: ListeningKey
    listeners: tuple[str, ...]
    failed: dict[str, str]
    conditions: tuple[ConditionRating, ...]
    pairs: tuple[PairResult, ...]
    tau: Interval | None
    slope: Interval | None
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Main result, in a sentence or two."""
        n = len(self.listeners)
        who = f"{n} listener{'s' * (n != 1)}"
        if self.pairs:
            told = sum(pair.p < 1 - _LEVEL for pair in self.pairs)
            return f"{who} can tell {told} of {len(self.pairs)} pairs apart."
        best = self.conditions[0]
        text = f"{who} rate {best.condition} highest, {with_bounds(best.mean, count=1)}."
        if self.tau is not None:
            text += f" Kendall's tau between score and ratings is {with_bounds(self.tau)}."
        return text

    @property
    def table(self) -> ResultTable:
        """Conditions or pairs as a table."""
        if self.pairs:
            told = tuple(
                (pair.pair, str(pair.n), with_bounds(pair.right), format_p(pair.p))
                for pair in self.pairs
            )
            headings = ("pair", "answers", "right, 95 % interval", "p (Holm)")
            return ResultTable("Two sounds told apart; 0.5 is chance", headings, told)
        rows = tuple(
            (
                each.condition,
                each.role or UNKNOWN,
                str(each.n),
                with_bounds(each.mean, count=1),
                f"{each.median:g}",
                UNKNOWN if each.score is None else significant(each.score),
            )
            for each in self.conditions
        )
        columns = ("condition", "role", "ratings", "mean, 95 % interval", "median", "score")
        return ResultTable("Ratings, 0 to 100", columns, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.Ratings",
            1,
            {
                "settings": self.config,
                "test": self.key.test,
                "kind": self.key.kind,
                "listeners": self.listeners,
                "failed": self.failed,
                "conditions": self.conditions,
                "pairs": self.pairs,
                "tau": self.tau,
                "slope": self.slope,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )


def analyse_ratings(config: RatingsConfig) -> RatingsResult:
    """Analyse the answers of listeners.

    Parameters
    ----------
    config : RatingsConfig
        Key and answers.

    Returns
    -------
    RatingsResult
        Ratings of conditions, or which pairs were told apart; listeners who fail.

    Raises
    ------
    ParameterError
        If a file is missing, is of another test, lacks a column, or has an answer out of range; or
        all listeners fail.
    MissingExtra
        If statsmodels, which fits the mixed model of ratings, is not installed.

    Notes
    -----
    Listeners are screened by the criteria of BS.1534-3 :cite:`itu1534`: they fail if they rate the
    hidden reference below 90, or an anchor above 90, in more than 15 % of its trials; in an ABX
    test, if they mistake an anchor in more than 15 %. Means are those of a mixed model with
    conditions as fixed effects and listeners and items as crossed random intercepts; tau has a
    bootstrap interval over listeners, by `scipy.stats.kendalltau`.

    Examples
    --------
    >>> analyse_ratings(RatingsConfig(Path("test"), (Path("answers"),)))  # doctest: +SKIP
    """
    key = read_key(config.key)
    if key.kind == "mushra":
        require_extra("statsmodels", "listening")
    answers = read_answers(answer_files(config.answers), key)
    failed = _failed(answers, key)
    notes = list(_incomplete(answers, key))
    if not config.keep_failed:
        kept = [answer for answer in answers if answer.listener not in failed]
        if not kept:
            raise ParameterError(
                f"all {len(failed)} listeners fail the screening; the first: "
                f"{next(iter(failed.values()))}"
            )
        answers = kept
    listeners = tuple(dict.fromkeys(answer.listener for answer in answers))
    if len(listeners) == 1:
        notes.append("There is one listener: intervals say nothing of others.")
    if key.kind == "abx":
        notes.append("Answers are counted as independent, also those of one listener.")
        pairs = _pairs(answers)
        return RatingsResult(config, key, listeners, failed, (), pairs, None, None, tuple(notes))
    conditions, slope, fit_notes = _rated(answers, key)
    tau = rank_agreement(answers, key, seed=config.seed)
    scored = [each for each in conditions if each.score is not None]
    if tau is None and scored:
        notes.append("Kendall's tau needs scores of three conditions or more, not all equal.")
    return RatingsResult(
        config, key, listeners, failed, conditions, (), tau, slope, (*notes, *fit_notes)
    )


def _failed(answers: Sequence[Answer], key: ListeningKey) -> dict[str, str]:
    """Return the listeners who fail the reference or an anchor, with the reason."""
    failed: dict[str, str] = {}
    for listener in dict.fromkeys(answer.listener for answer in answers):
        own = [answer for answer in answers if answer.listener == listener]
        if key.kind == "abx":
            checks = [("an anchor mistaken", [a.rating < 1 for a in own if a.is_anchor])]
        else:
            roles = [
                (answer.rating, answer.condition, key.role(answer.condition)) for answer in own
            ]
            checks = [
                (
                    f"the reference below {_LEAST_REFERENCE:g}",
                    [rating < _LEAST_REFERENCE for rating, _, role in roles if role == "reference"],
                )
            ]
            for anchor in dict.fromkeys(name for _, name, role in roles if role == "anchor"):
                high = [rating > _MOST_ANCHOR for rating, name, _ in roles if name == anchor]
                checks.append((f"{anchor} above {_MOST_ANCHOR:g}", high))
        for what, wrong in checks:
            if wrong and sum(wrong) / len(wrong) > _MOST_FAILED:
                failed.setdefault(listener, f"{what} in {sum(wrong)} of {len(wrong)} trials")
    return failed


def _incomplete(answers: Sequence[Answer], key: ListeningKey) -> list[str]:
    counts = Counter(answer.listener for answer in answers)
    return [
        f"Listener {name} has {n} of {key.n_answers} answers."
        for name, n in counts.items()
        if n != key.n_answers
    ]


def _pairs(answers: Sequence[Answer]) -> tuple[PairResult, ...]:
    from scipy.stats import binomtest

    names = sorted({answer.condition for answer in answers})
    tests = []
    for name in names:
        own = [answer.rating for answer in answers if answer.condition == name]
        tests.append((len(own), binomtest(int(sum(own)), len(own), 0.5, alternative="greater")))
    two_sided = [binomtest(test.k, n, 0.5).proportion_ci(_LEVEL) for n, test in tests]
    adjusted = holm([float(test.pvalue) for _, test in tests])
    return tuple(
        PairResult(name, n, Interval(test.k / n, float(bounds.low), float(bounds.high), _LEVEL), p)
        for name, (n, test), bounds, p in zip(names, tests, two_sided, adjusted, strict=True)
    )


def _rated(
    answers: Sequence[Answer], key: ListeningKey
) -> tuple[tuple[ConditionRating, ...], Interval | None, list[str]]:
    """Rate all conditions, the best first; return also the slope over ranks of the score."""
    names = list(dict.fromkeys(answer.condition for answer in answers))
    codes = np.array([names.index(answer.condition) for answer in answers])
    ratings = np.array([answer.rating for answer in answers])
    design = (codes[:, None] == np.arange(len(names))).astype(float)
    means, notes = mixed_means(design, answers)
    scores = {name: key.conditions[name].get("score") for name in names}
    conditions = [
        ConditionRating(
            name,
            key.role(name),
            int((codes == i).sum()),
            means[i],
            float(np.median(ratings[codes == i])),
            scores[name],
        )
        for i, name in enumerate(names)
    ]
    slope = None
    ranks = _ranks(scores)
    if len(set(ranks.values())) > 1:
        kept = [answer for answer in answers if answer.condition in ranks]
        line = np.array([[1.0, ranks[answer.condition]] for answer in kept])
        # ratings of one condition share what its score does not explain
        random = ("listener", "item", "condition")
        (_, slope), more = mixed_means(line, kept, random=random)
        notes = list(dict.fromkeys([*notes, *more]))
    ordered = sorted(conditions, key=lambda each: -each.mean.value)
    return tuple(ordered), slope, notes


def _ranks(scores: dict[str, float | None]) -> dict[str, float]:
    from scipy.stats import rankdata

    known = {name: score for name, score in scores.items() if score is not None}
    return dict(zip(known, rankdata([*known.values()]).tolist(), strict=True)) if known else {}
