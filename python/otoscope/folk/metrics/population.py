"""Two populations of tunes compared: how far apart they are, beside how far real ones are.

Each distance is a norm of the difference between two means over tunes. Of a category (meter, mode,
form, ...) a tune is a row of zeros with a one, and total variation is half the sum of absolute
differences; of a length it is its cumulative step, and the largest difference is Kolmogorov and
Smirnov's statistic, the area between the curves Wasserstein's distance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError, require_extra
from otoscope.folk.abc import Key
from otoscope.folk.metrics.check import TuneCheck, TuneFacts
from otoscope.folk.metrics.melody import DEGREES
from otoscope.metrics.interval import Interval

__all__ = ["Distance", "compare_tunes"]

Array: TypeAlias = "NDArray[np.float64]"
Kind: TypeAlias = Literal["total variation", "Kolmogorov-Smirnov", "Wasserstein"]

_LEVEL: Final = 0.95
_CATEGORIES: Final[dict[str, Callable[[TuneFacts], str]]] = {
    "meter": lambda facts: facts.meter,
    "mode": lambda facts: Key.parse(facts.key).mode,
    "form": lambda facts: facts.form,
    "last degree": lambda facts: facts.last,
    "cadence": lambda facts: f"{facts.before_last}-{facts.last}",
    "valid": lambda facts: str(not any(measure.is_wrong for measure in facts.measures)),
}
_SHARES: Final[dict[str, Callable[[TuneFacts], dict[str, float]]]] = {
    "degrees by count": lambda facts: facts.degrees_by_count,
    "degrees by duration": lambda facts: facts.degrees_by_duration,
}
_LENGTHS: Final[dict[str, Callable[[TuneFacts], float]]] = {
    "measures": lambda facts: len(facts.measures),
    "notes": lambda facts: facts.notes,
    "range": lambda facts: facts.range,
    "accidentals": lambda facts: facts.accidentals,
}


@dataclass(frozen=True)
class Distance:
    """How far generated tunes are from held-out real ones in one respect.

    Parameters
    ----------
    what : str
        "meter", "mode", ..., "notes": what of a tune is looked at.
    kind : {"total variation", "Kolmogorov-Smirnov", "Wasserstein"}
        The first two in [0, 1]; the last in the unit of ``what``.
    value : Interval
        Generated against held-out tunes, with bootstrap bounds, their bias taken off.
    p : float
        How often tunes whose origin is shuffled are as far apart.
    p_holm : float
        The same, corrected for the number of distances (Holm).
    floor : Interval, optional
        As many training tunes as there are generated ones (or all, if fewer), against the held-out
        ones: mean over draws, and the bounds of 95 % of them; None without training tunes.

    Examples
    --------
    >>> Distance("mode", "total variation", Interval(0.1, 0.0, 0.2, 0.95), 0.3, 1.0, None).p
    0.3
    """

    what: str
    kind: Kind
    value: Interval
    p: float
    p_holm: float
    floor: Interval | None


@dataclass(frozen=True, eq=False)
class _Respect:
    """Rows [tune, column] of all tunes; of a length, the width of each column in its unit."""

    what: str
    kind: Kind
    rows: Array
    widths: Array | float = 0.5

    def norm(self, apart: Array) -> Array:
        """Measure differences [..., column] between means."""
        if self.kind == "Kolmogorov-Smirnov":
            return np.asarray(np.abs(apart).max(-1, initial=0.0))
        return np.asarray((np.abs(apart) * self.widths).sum(-1))


def compare_tunes(
    generated: Sequence[TuneCheck],
    held_out: Sequence[TuneCheck],
    train: Sequence[TuneCheck] = (),
    *,
    n_draws: int = 2000,
    seed: int = 0,
) -> tuple[Distance, ...]:
    """Compare generated tunes with real ones that their model has not seen.

    Parameters
    ----------
    generated, held_out : sequence of TuneCheck
        Those that cannot be read are left away; two of each at least.
    train : sequence of TuneCheck
        Real tunes for the noise floor.
    n_draws : int
        Of the bootstrap, of the shuffling and of the floor, at least 1.
    seed : int
        Of all three.

    Returns
    -------
    tuple of Distance
        Categories and degrees by total variation; lengths by Kolmogorov and Smirnov's statistic
        and by Wasserstein's distance.

    Raises
    ------
    ParameterError
        If there are too few tunes, or ``n_draws`` is below 1.
    MissingExtra
        If statsmodels is not installed.

    References
    ----------
    Sturm, Santos, Ben-Tal, Korshunova: Music transcription modelling and composition using deep
    learning, 2016: generated tunes as a population.

    Examples
    --------
    >>> checks = [check_tune(tune) for tune in tunes]  # doctest: +SKIP
    >>> compare_tunes(checks[:60], checks[60:])[0].what  # doctest: +SKIP
    'meter'
    """
    facts = [[check.facts for check in x if check.facts] for x in (generated, held_out, train)]
    sizes = [len(one) for one in facts]
    if min(sizes[:2]) < 2 or n_draws < 1:
        raise ParameterError(
            f"{sizes[0]} generated and {sizes[1]} held-out tunes can be read, n_draws is "
            f"{n_draws}; need 2 of each at least, and 1 draw"
        )
    respects = _respects([fact for one in facts for fact in one])
    rng = np.random.default_rng(seed)
    found = [_distance(respect, sizes, n_draws, rng) for respect in respects]
    multitest: Any = require_extra("statsmodels.stats.multitest", "horse")
    corrected = multitest.multipletests([p for _, p, _ in found], method="holm")[1]
    return tuple(
        Distance(respect.what, respect.kind, value, p, float(p_holm), floor)
        for respect, (value, p, floor), p_holm in zip(respects, found, corrected, strict=True)
    )


def _respects(facts: Sequence[TuneFacts]) -> list[_Respect]:
    found: list[_Respect] = []
    for what, category in _CATEGORIES.items():
        _, numbers = np.unique([category(one) for one in facts], return_inverse=True)
        found.append(_Respect(what, "total variation", np.eye(numbers.max() + 1)[numbers]))
    for what, shares in _SHARES.items():
        rows = np.array([[shares(one).get(name, 0.0) for name in DEGREES] for one in facts])
        found.append(_Respect(what, "total variation", rows))
    for what, length in _LENGTHS.items():
        values = np.array([length(one) for one in facts], dtype=np.float64)
        grid = np.unique(values)
        steps = (values[:, None] <= grid[:-1]).astype(np.float64)  # from the last on they are 1
        found.append(_Respect(what, "Kolmogorov-Smirnov", steps))
        found.append(_Respect(what, "Wasserstein", steps, np.diff(grid)))
    return found


def _distance(
    respect: _Respect, sizes: Sequence[int], n_draws: int, rng: np.random.Generator
) -> tuple[Interval, float, Interval | None]:
    n, m, n_train = sizes
    ours, theirs, train = np.split(respect.rows, [n, n + m])
    value = float(respect.norm(ours.mean(0) - theirs.mean(0)))

    drawn = respect.norm(_resampled(ours, n_draws, rng) - _resampled(theirs, n_draws, rng))
    bias = float(drawn.mean()) - value  # resampling adds noise, and noise adds distance
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]) - bias
    interval = Interval(value, max(float(low), 0.0), float(high), _LEVEL)

    pooled = respect.rows[: n + m]
    first = _subset_means(pooled, n, n_draws, rng)
    second = (pooled.sum(0) - n * first) / m
    shuffled = respect.norm(first - second)
    p = (1 + int((shuffled >= value - 1e-12).sum())) / (1 + n_draws)
    if not n_train:
        return interval, p, None
    floors = respect.norm(_subset_means(train, min(n, n_train), n_draws, rng) - theirs.mean(0))
    bounds = np.quantile(floors, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return interval, p, Interval(float(floors.mean()), float(bounds[0]), float(bounds[1]), _LEVEL)


def _resampled(rows: Array, n_draws: int, rng: np.random.Generator) -> Array:
    """Return means [draw, column] of as many rows, drawn with replacement."""
    counts = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=n_draws)
    return counts @ rows / len(rows)


def _subset_means(rows: Array, size: int, n_draws: int, rng: np.random.Generator) -> Array:
    """Return means [draw, column] of so many rows, drawn without replacement."""
    order = rng.permuted(np.broadcast_to(np.arange(len(rows)) < size, (n_draws, len(rows))), axis=1)
    return order @ rows / size
