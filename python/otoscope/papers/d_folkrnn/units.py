"""Units that count bars or mark cadences: found on one half of the tunes, tested on the other.

A counter rises or falls with the number of the bar in its part: Spearman's rank correlation of its
output right after a bar line with that number. A marker of cadences is higher, or lower, in the
last bar of a part than elsewhere: 2 AUC - 1 of its outputs in and outside of such bars. Both are in
[-1, 1], and 0 for a unit that knows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from otoscope.folk.model import FolkModel, PositionReader, hidden_states
from otoscope.metrics import Interval

__all__ = [
    "CONCEPTS",
    "TOKEN_CLASSES",
    "Reading",
    "is_bar_line",
    "mean_outputs",
    "read_tunes",
    "score",
    "scores",
]

Array: TypeAlias = "NDArray[np.float64]"

_MOST_BARS: Final = 8  # of a part, that are counted
_LEVEL: Final = 0.95


@dataclass(frozen=True, eq=False)
class Reading:
    """Outputs of units over a tune, and what the units might know.

    Parameters
    ----------
    outputs : array [token, unit]
        Outputs after each token, all layers side by side.
    begins : array [token], bool
        Whether a bar of the first eight of a part begins after the token.
    number : array [token]
        Number of the bar in the part, from 0.
    is_last : array [token], bool
        Whether the bar is the last of its part.
    """

    outputs: NDArray[np.float32]
    begins: NDArray[np.bool_]
    number: NDArray[np.int64]
    is_last: NDArray[np.bool_]


def read_tunes(model: FolkModel, tunes: Sequence[Sequence[str]]) -> list[Reading]:
    """Read tunes with a network; return what there is to know after each token of the body."""
    reader = PositionReader(model.vocabulary, ["part"])
    number = [column.name for column in reader.columns].index("number")
    readings = []
    for tune, states in zip(tunes, hidden_states(model, tunes), strict=True):
        ids = model.encode(tune, name="a tune")[:-1]
        tokens = tune[2:]
        bar = reader.read(ids)[3:, number]  # without <s>, meter and key
        is_bar = np.array([is_bar_line(token) for token in tokens], dtype=bool)
        outputs = states[3:].reshape(len(tokens), -1)
        readings.append(Reading(outputs, is_bar & (bar < _MOST_BARS), bar, _is_last(tokens)))
    return readings


def is_bar_line(token: str) -> bool:
    """Return whether a token is a bar line or a repeat mark.

    >>> [is_bar_line(token) for token in ("|", ":|", "|1", "M:4/4", "C")]
    [True, True, True, False, False]
    """
    return "|" in token or token == "::"


def _is_last(tokens: Sequence[str]) -> NDArray[np.bool_]:
    """Mark the last bar of each part: what follows the last bar line before its end.

    >>> _is_last("C 8 | D 8 :| E 8 | F 8".split()).astype(int).tolist()
    [0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]
    """
    lines = [place for place, token in enumerate(tokens) if is_bar_line(token)]
    ends = {place for place in lines if ":" in tokens[place] or "]" in tokens[place]}
    ends.add(lines[-1] if lines and lines[-1] == len(tokens) - 1 else len(tokens))
    marked = np.zeros(len(tokens), dtype=bool)
    for end in ends:
        before = [line for line in lines if line < end]
        marked[before[-1] if before else 0 : end] = True
    return marked


def _counts(readings: Sequence[Reading]) -> tuple[Array, Array]:
    """Return outputs [bar, unit] at the beginnings of bars, and the numbers of the bars."""
    outputs = np.concatenate([row.outputs[row.begins] for row in readings])
    return outputs, np.concatenate([row.number[row.begins] for row in readings]).astype(float)


def _marks(readings: Sequence[Reading]) -> tuple[Array, Array]:
    """Return outputs [token, unit], and whether each token is in a last bar."""
    outputs = np.concatenate([row.outputs for row in readings])
    return outputs, np.concatenate([row.is_last for row in readings]).astype(float)


CONCEPTS: Final[dict[str, Callable[[Sequence[Reading]], tuple[Array, Array]]]] = {
    "bars": _counts,
    "cadences": _marks,
}
"""What units might know: the number of the bar, and the last bar of a part."""


TOKEN_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "bars": is_bar_line,
    "pitch": lambda token: bool(re.fullmatch(r"[\^_=]*[A-Ga-g][,']*|z", token)),
    "length": lambda token: bool(re.fullmatch(r"[\d/]+[<>]*|[<>]+", token)),
    "meter": lambda token: token.startswith("M:"),
    "end": lambda token: token == "",
}
"""Classes of tokens; the end of a tune is ""."""


def scores(concept: str, readings: Sequence[Reading]) -> Array:
    """Return the score [unit] of each unit for a concept, in [-1, 1]."""
    outputs, truth = CONCEPTS[concept](readings)
    return np.array([_score(concept, column, truth) for column in outputs.T])


def score(
    concept: str, readings: Sequence[Reading], unit: int, *, n_draws: int, rng: np.random.Generator
) -> Interval:
    """Return the score of a unit, with a bootstrap interval over tunes."""
    rows = [CONCEPTS[concept]([_column(reading, unit)]) for reading in readings]

    def of(chosen: Sequence[int]) -> float:
        outputs, truth = (np.concatenate([rows[i][k] for i in chosen]) for k in (0, 1))
        return _score(concept, outputs[:, 0], truth)

    value = of(range(len(rows)))
    drawn = [of(rng.integers(len(rows), size=len(rows)).tolist()) for _ in range(n_draws)]
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(value, float(low), float(high), _LEVEL)


def mean_outputs(readings: Sequence[Reading]) -> Array:
    """Return the mean output [unit] of each unit over all tokens."""
    return np.asarray(np.concatenate([row.outputs for row in readings]).mean(0, dtype=float))


def _column(reading: Reading, unit: int) -> Reading:
    outputs = reading.outputs[:, unit : unit + 1]
    return Reading(outputs, reading.begins, reading.number, reading.is_last)


def _score(concept: str, outputs: Array, truth: Array) -> float:
    """Return Spearman's correlation, or 2 AUC - 1; 0 if nothing varies."""
    ranks = rankdata(outputs)
    if concept == "bars":
        both = np.stack([ranks, rankdata(truth)])
        both -= both.mean(1, keepdims=True)
        size = np.sqrt((both**2).sum(1)).prod()
        return float((both[0] * both[1]).sum() / size) if size > 0 else 0.0
    inside = truth > 0
    n, m = int(inside.sum()), int((~inside).sum())
    if not n or not m:
        return 0.0
    return float(2 * (ranks[inside].sum() - n * (n + 1) / 2) / (n * m) - 1)
