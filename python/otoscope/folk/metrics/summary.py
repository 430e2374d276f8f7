"""How many tunes of a book keep each rule, and how sure that is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.stats

from otoscope.folk.metrics.bars import MEASURE_KINDS
from otoscope.folk.metrics.check import TuneCheck, TuneFacts
from otoscope.folk.metrics.findings import RULES
from otoscope.folk.metrics.melody import DEGREES
from otoscope.metrics.interval import Interval

__all__ = ["Rate", "Summary", "difference", "summarise"]

_LEVEL: Final = 0.95
_DRAWS: Final = 2000
_MEANS: Final[dict[str, Callable[[TuneFacts], float]]] = {
    "measures": lambda facts: len(facts.measures),
    "notes": lambda facts: facts.notes,
    "range": lambda facts: facts.range,
    "accidentals": lambda facts: facts.accidentals,
}


@dataclass(frozen=True)
class Rate:
    """A share of tunes.

    Parameters
    ----------
    count, of : int
        So many of so many.
    interval : Interval
        The share, with Wilson's bounds.

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
        """Estimate a share from counts.

        Parameters
        ----------
        count, of : int
            So many of so many, at least of one.

        Returns
        -------
        Rate
            With Wilson's bounds at 95 %.

        Examples
        --------
        >>> Rate.of_counts(1, 2).interval.value
        0.5
        """
        bounds = scipy.stats.binomtest(count, of).proportion_ci(_LEVEL, method="wilson")
        interval = Interval(count / of, float(bounds.low), float(bounds.high), _LEVEL)
        return cls(count, of, interval)


@dataclass(frozen=True)
class Summary:
    """What a book of tunes is like.

    Parameters
    ----------
    tunes : int
        With those that cannot be read.
    rates : dict of str to Rate
        "valid" (can be read and its bars add up) of all tunes, then each rule of `RULES` of the
        tunes to which it applies; a rule that applies to none is not there.
    means : dict of str to Interval
        Of measures, notes, range in semitones and accidentals a tune, with bootstrap bounds.
    measures, forms, meters, keys : dict of str to int
        Measures by kind; tunes by form, meter and key, the most frequent first.
    degrees_by_count, degrees_by_duration : dict of str to float
        Mean shares over the tunes that have a tonic; empty if none has.

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
    def from_dict(cls, plain: Mapping[str, Any]) -> Summary:
        """Read what `to_dict` gave, from a model's card for instance.

        Parameters
        ----------
        plain : mapping
            In JSON's types.

        Returns
        -------
        Summary
            Equal to the one that gave it.

        Examples
        --------
        >>> Summary.from_dict(summary.to_dict()) == summary  # doctest: +SKIP
        True
        """
        rates = {
            name: Rate(rate["count"], rate["of"], _interval(rate))
            for name, rate in plain["rates"].items()
        }
        means = {name: _interval(mean) for name, mean in plain["means"].items()}
        others = {name: plain[name] for name in _PLAIN}
        return cls(tunes=plain["tunes"], rates=rates, means=means, **others)

    @property
    def valid(self) -> float:
        """Share of tunes that can be read and whose bars add up."""
        return self.rates["valid"].interval.value

    def to_dict(self) -> dict[str, Any]:
        """Give it in JSON's types; rates are flat."""
        rates = {
            name: {"count": rate.count, "of": rate.of, **_bounds(rate.interval)}
            for name, rate in self.rates.items()
        }
        means = {name: _bounds(mean) for name, mean in self.means.items()}
        plain = {name: getattr(self, name) for name in _PLAIN}
        return {"tunes": self.tunes, "rates": rates, "means": means, **plain}


_PLAIN: Final = (
    "measures",
    "forms",
    "meters",
    "keys",
    "degrees_by_count",
    "degrees_by_duration",
)


def summarise(checks: Sequence[TuneCheck], *, seed: int = 0) -> Summary:
    """Count over a book.

    Parameters
    ----------
    checks : sequence of TuneCheck
        Of `check_tune`; one at least.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Summary
        Rates with Wilson's bounds, means with bootstrap percentile bounds, both at 95 %, tunes
        taken as drawn independently.

    Examples
    --------
    >>> from otoscope.folk.metrics import check_tune
    >>> from otoscope.folk.abc import parse_tune
    >>> summary = summarise([check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]"))])
    >>> summary.rates["tonic"].interval.value
    1.0
    """
    rates = {"valid": Rate.of_counts(sum(check.is_valid for check in checks), len(checks))}
    for rule in RULES:
        kept = [keeps for check in checks if (keeps := check.keeps(rule)) is not None]
        if kept:
            rates[rule] = Rate.of_counts(sum(kept), len(kept))
    facts = [check.facts for check in checks if check.facts is not None]
    rng = np.random.default_rng(seed)
    means = {name: _mean([of(fact) for fact in facts], rng) for name, of in _MEANS.items() if facts}
    kinds = Counter(measure.kind for fact in facts for measure in fact.measures)
    return Summary(
        len(checks),
        rates,
        means,
        {kind: kinds[kind] for kind in MEASURE_KINDS if kinds[kind]},
        dict(Counter(fact.form for fact in facts).most_common()),
        dict(Counter(fact.meter for fact in facts).most_common()),
        dict(Counter(fact.key for fact in facts).most_common()),
        _mean_shares([fact.degrees_by_count for fact in facts]),
        _mean_shares([fact.degrees_by_duration for fact in facts]),
    )


def difference(rate: Rate, other: Rate) -> Interval:
    """Subtract another book's rate, with Newcombe's bounds.

    Parameters
    ----------
    rate, other : Rate
        Of independent books.

    Returns
    -------
    Interval
        In [-1, 1].

    References
    ----------
    R. G. Newcombe, "Interval estimation for the difference between independent proportions:
    comparison of eleven methods", Statistics in Medicine 17, 1998: method 10.

    Examples
    --------
    >>> found = difference(Rate.of_counts(56, 70), Rate.of_counts(48, 80))
    >>> round(found.low, 4), round(found.high, 4)
    (0.0524, 0.3339)
    """
    ours, theirs = rate.interval, other.interval
    value = ours.value - theirs.value
    down = math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    up = math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Interval(value, value - down, value + up, _LEVEL)


def _mean(values: Sequence[float], rng: np.random.Generator) -> Interval:
    sample = np.asarray(values, dtype=np.float64)
    drawn = rng.integers(len(sample), size=(_DRAWS, len(sample)))
    low, high = np.quantile(sample[drawn].mean(1), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(sample.mean()), float(low), float(high), _LEVEL)


def _mean_shares(shares: Sequence[dict[str, float]]) -> dict[str, float]:
    known = [share for share in shares if share]
    return {name: sum(share[name] for share in known) / len(known) for name in DEGREES if known}


def _interval(plain: Mapping[str, float]) -> Interval:
    return Interval(plain["value"], plain["low"], plain["high"], _LEVEL)


def _bounds(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
