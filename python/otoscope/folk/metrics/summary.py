"""Rates of tunes that keep each rule over a book of tunes, with confidence intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from otoscope.folk.metrics.check import TuneCheck
from otoscope.folk.metrics.features import DEGREES, TuneFeatures
from otoscope.folk.metrics.measures import MEASURE_KINDS
from otoscope.folk.metrics.rules import RULES
from otoscope.metrics import Interval
from otoscope.seeds import numpy_generator

__all__ = ["RATES", "Rate", "Summary", "difference", "summarise"]

RATES: Final = {"valid": "valid", "valid_inside": "valid inside parts", **RULES}
"""Names of the rates: both definitions of a valid tune, and the rules."""

_LEVEL: Final = 0.95
_DRAWS: Final = 2000
_MEANS: Final[dict[str, Callable[[TuneFeatures], float]]] = {
    "measures": lambda features: len(features.measures),
    "notes": lambda features: features.notes,
    "range": lambda features: features.range,
    "accidentals": lambda features: features.accidentals,
}


@dataclass(frozen=True)
class Rate:
    """A fraction of tunes.

    Parameters
    ----------
    count, of : int
        Numerator and denominator: number of tunes that keep a rule, and number of tunes.
    interval : Interval
        The fraction, with Wilson's bounds.

    Examples
    --------
    >>> rate = Rate.of_counts(58, 64)
    >>> round(rate.interval.value, 3), round(rate.interval.low, 3), round(rate.interval.high, 3)
    (0.906, 0.81, 0.956)
    """

    count: int
    of: int
    interval: Interval

    @classmethod
    def of_counts(cls, count: int, of: int) -> Rate:
        """Estimate a fraction from counts.

        Parameters
        ----------
        count, of : int
            Numerator and denominator; ``of`` is at least 1.

        Returns
        -------
        Rate
            The fraction with Wilson's bounds at 95 %.

        Examples
        --------
        >>> Rate.of_counts(1, 2).interval.value
        0.5
        """
        rate, z = count / of, NormalDist().inv_cdf(0.5 + _LEVEL / 2)
        middle, shrink = rate + z * z / (2 * of), 1 + z * z / of
        half = z * math.sqrt(rate * (1 - rate) / of + (z / (2 * of)) ** 2)
        low = (middle - half) / shrink if count else 0.0
        high = (middle + half) / shrink if count < of else 1.0
        return cls(count, of, Interval(rate, low, high, _LEVEL))


@dataclass(frozen=True)
class Summary:
    """Rates, means and counts over a book of tunes.

    Parameters
    ----------
    tunes : int
        Number of tunes, unreadable ones included.
    rates : dict of str to Rate
        Keys of `RATES`: fractions of valid tunes, by both definitions, among all tunes; then for
        each rule of `RULES` the fraction of tunes that keep it, among those to which it applies. A
        rule that applies to no tune is left out.
    means : dict of str to Interval
        Means per tune of measures, notes, range (semitones) and accidentals, with bootstrap bounds.
    measures, forms, meters, keys : dict of str to int
        Numbers of measures by kind; numbers of tunes by form, meter and key, most frequent first.
    degrees_by_count, degrees_by_duration : dict of str to float
        Mean distributions of scale degrees over the tunes that have a tonic; empty if none has.

    Examples
    --------
    >>> from otoscope.folk.metrics import check_tune
    >>> from otoscope.folk.abc import parse_tune
    >>> tune = parse_tune("M:2/4\\nL:1/4\\nK:D\\n|:FE|D2:|")
    >>> summarise([check_tune(tune)]).rates["valid"].count
    1
    """

    tunes: int
    rates: dict[str, Rate]
    means: dict[str, Interval]
    measures: dict[str, int]
    forms: dict[str, int]
    meters: dict[str, int]
    keys: dict[str, int]
    degrees_by_count: dict[str, float]
    degrees_by_duration: dict[str, float]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Summary:
        """Read what `to_dict` returned, for example from a model card.

        Parameters
        ----------
        content : mapping
            Summary in JSON's types.

        Returns
        -------
        Summary
            Summary equal to the one written.

        Examples
        --------
        >>> Summary.from_dict(summary.to_dict()) == summary  # doctest: +SKIP
        True
        """
        rates = {
            name: Rate(rate["count"], rate["of"], _interval(rate))
            for name, rate in content["rates"].items()
        }
        means = {name: _interval(mean) for name, mean in content["means"].items()}
        counts = {name: content[name] for name in _COUNTS}
        return cls(tunes=content["tunes"], rates=rates, means=means, **counts)

    @property
    def valid(self) -> float:
        """Fraction of tunes that are valid: can be read, and their bars add up."""
        return self.rates["valid"].interval.value

    def to_dict(self) -> dict[str, Any]:
        """Return the summary in JSON's types."""
        rates = {
            name: {"count": rate.count, "of": rate.of, **_bounds(rate.interval)}
            for name, rate in self.rates.items()
        }
        means = {name: _bounds(mean) for name, mean in self.means.items()}
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {"tunes": self.tunes, "rates": rates, "means": means, **counts}


_COUNTS: Final = (
    "measures",
    "forms",
    "meters",
    "keys",
    "degrees_by_count",
    "degrees_by_duration",
)


def summarise(checks: Sequence[TuneCheck], *, seed: int = 0) -> Summary:
    """Summarise the checks of a book of tunes.

    Parameters
    ----------
    checks : sequence of TuneCheck
        What `check_tune` returned for each tune; at least one.
    seed : int
        Random seed of the bootstrap.

    Returns
    -------
    Summary
        Rates with Wilson's bounds, means with bootstrap percentile bounds, both at 95 %; tunes
        count as independent draws.

    Examples
    --------
    >>> from otoscope.folk.metrics import check_tune
    >>> from otoscope.folk.abc import parse_tune
    >>> summary = summarise([check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]"))])
    >>> summary.rates["tonic"].interval.value
    1.0
    """
    rates = {
        "valid": Rate.of_counts(sum(check.is_valid for check in checks), len(checks)),
        "valid_inside": Rate.of_counts(sum(check.is_valid_inside for check in checks), len(checks)),
    }
    for rule in RULES:
        kept = [keeps for check in checks if (keeps := check.keeps(rule)) is not None]
        if kept:
            rates[rule] = Rate.of_counts(sum(kept), len(kept))
    tunes = [check.features for check in checks if check.features is not None]
    rng = numpy_generator(seed)
    means = {name: _mean([of(tune) for tune in tunes], rng) for name, of in _MEANS.items() if tunes}
    kinds = Counter(measure.kind for tune in tunes for measure in tune.measures)
    return Summary(
        len(checks),
        rates,
        means,
        {kind: kinds[kind] for kind in MEASURE_KINDS if kinds[kind]},
        dict(Counter(tune.form for tune in tunes).most_common()),
        dict(Counter(tune.meter for tune in tunes).most_common()),
        dict(Counter(tune.key for tune in tunes).most_common()),
        _mean_distribution([tune.degrees_by_count for tune in tunes]),
        _mean_distribution([tune.degrees_by_duration for tune in tunes]),
    )


def difference(rate: Rate, other: Rate) -> Interval:
    """Return the difference between the rates of two books, with Newcombe's bounds.

    Parameters
    ----------
    rate, other : Rate
        Rates of independent books.

    Returns
    -------
    Interval
        ``rate`` minus ``other``, in [-1, 1].

    References
    ----------
    Newcombe (1998) :cite:`newcombe1998`, method 10.

    Examples
    --------
    >>> interval = difference(Rate.of_counts(56, 70), Rate.of_counts(48, 80))
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.0524, 0.3339)
    """
    first, second = rate.interval, other.interval
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, value - below, value + above, _LEVEL)


def _mean(values: Sequence[float], rng: np.random.Generator) -> Interval:
    sample = np.asarray(values, dtype=np.float64)
    indices = rng.integers(len(sample), size=(_DRAWS, len(sample)))
    low, high = np.quantile(sample[indices].mean(1), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(sample.mean()), float(low), float(high), _LEVEL)


def _mean_distribution(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    known = [row for row in rows if row]
    return {name: sum(row[name] for row in known) / len(known) for name in DEGREES if known}


def _interval(plain: Mapping[str, float]) -> Interval:
    return Interval(plain["value"], plain["low"], plain["high"], _LEVEL)


def _bounds(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
