"""Distances between two populations of tunes, beside the distances between real tunes.

Each tune i becomes a vector x_i, and each population its mean vector, m = mean_i x_i. With m and m'
the means of two populations:

- category (meter, mode, form, ...): x_i is one-hot, so m is a distribution over the categories;
  total variation = sum_j |m_j - m'_j| / 2.
- scale degrees: x_i is the tune's distribution over the twelve degrees; total variation.
- number (notes, range, ...): with v_1 < v_2 < ... the values that occur, x_ij = 1 if the value of
  tune i is <= v_j, else 0, so m is the cumulative distribution function.
  Kolmogorov-Smirnov = max_j |m_j - m'_j|, and
  Wasserstein = sum_j |m_j - m'_j| (v_(j+1) - v_j), the area between the two curves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from otoscope.errors import ParameterError
from otoscope.folk.abc import Key
from otoscope.folk.metrics.aspects import (
    Aspect,
    AspectFigure,
    PopulationDistance,
    correct_together,
    distance_of,
    figure_of,
    of_categories,
    of_distributions,
    of_numbers,
)
from otoscope.folk.metrics.check import TuneCheck
from otoscope.folk.metrics.features import DEGREES, TuneFeatures
from otoscope.seeds import numpy_generator

__all__ = ["compare_tunes", "tune_figures"]

Tokens: TypeAlias = "Sequence[Sequence[str] | None]"

_CATEGORIES: Final[dict[str, Callable[[TuneFeatures], str]]] = {
    "meter": lambda features: features.meter,
    "mode": lambda features: Key.parse(features.key).mode,
    "form": lambda features: features.form,
    "last degree": lambda features: features.last,
    "cadence": lambda features: f"{features.before_last}-{features.last}",
    "valid": lambda features: str(not any(measure.is_wrong for measure in features.measures)),
}
_DISTRIBUTIONS: Final[dict[str, Callable[[TuneFeatures], dict[str, float]]]] = {
    "degrees by count": lambda features: features.degrees_by_count,
    "degrees by duration": lambda features: features.degrees_by_duration,
}
_NUMBERS: Final[dict[str, Callable[[TuneFeatures], float]]] = {
    "measures": lambda features: len(features.measures),
    "parts": lambda features: len(features.parts),
    "repeats": lambda features: sum(part.is_repeated for part in features.parts),
    "notes": lambda features: features.notes,
    "range": lambda features: features.range,
    "accidentals": lambda features: features.accidentals,
}


_DEFINITIONS: Final = {
    "meter": "meter of the header",
    "mode": "mode of the key",
    "form": "parts as letters, repeated ones twice",
    "last degree": "scale degree of the last note, repeats played",
    "cadence": "scale degrees of the last two different notes",
    "valid": "whether the bars add up",
    "degrees by count": "scale degrees of the notes, repeats played, each tune counting the same",
    "degrees by duration": "the same, each note counting by its duration",
    "measures": "number of measures as written",
    "parts": "number of segments between repeat marks, a full bar or longer",
    "repeats": "number of these that are repeated",
    "notes": "number of notes as written",
    "range": "lowest to highest note, in semitones",
    "accidentals": "fraction of notes outside the key",
    "tokens": "number of tokens on root C (v2), without boundaries",
    "pitch tokens": "pitches as tokens on root C, each tune counting the same",
    "first pitch": "first pitch token",
    "last pitch": "last pitch token",
}
_PITCH: Final = re.compile(r"[\^_=]*[A-Ga-g][,']*")


def compare_tunes(
    generated: Sequence[TuneCheck],
    held_out: Sequence[TuneCheck],
    train: Sequence[TuneCheck] = (),
    *,
    tokens: Sequence[Tokens] = (),
    n_draws: int = 2000,
    seed: int = 0,
) -> tuple[PopulationDistance, ...]:
    """Compare generated tunes with real ones that their model has not seen.

    Parameters
    ----------
    generated, held_out : sequence of TuneCheck
        At least two tunes each; tunes that cannot be read are left out.
    train : sequence of TuneCheck
        Real tunes for the noise floor.
    tokens : sequence of sequences of (sequence of str, optional)
        Tokens on root C (v2) of each tune of the three populations, None for a tune that has none;
        without them, the aspects of tokens are left out.
    n_draws : int
        Number of draws of the bootstrap, of the permutation test and of the floor, at least 1.
    seed : int
        Random seed of the draws.

    Returns
    -------
    tuple of PopulationDistance
        Total variation of categories and scale degrees; Kolmogorov-Smirnov and Wasserstein
        distances of numbers.

    Raises
    ------
    ParameterError
        If there are too few tunes, or ``n_draws`` is below 1.
    MissingExtra
        If statsmodels is not installed.

    References
    ----------
    Sturm et al. (2016) :cite:`sturm2016folkrnn`: generated tunes as a population.

    Examples
    --------
    >>> checks = [check_tune(tune) for tune in tunes]  # doctest: +SKIP
    >>> compare_tunes(checks[:60], checks[60:])[0].aspect  # doctest: +SKIP
    'meter'
    """
    sizes, aspects = _prepared((generated, held_out, train), tokens)
    if min(sizes[:2]) < 2 or n_draws < 1:
        raise ParameterError(
            f"{sizes[0]} generated and {sizes[1]} held-out tunes can be read, n_draws is "
            f"{n_draws}; need at least 2 tunes of each, and 1 draw"
        )
    rng = numpy_generator(seed)
    return correct_together([distance_of(aspect, sizes, n_draws, rng) for aspect in aspects])


def tune_figures(
    generated: Sequence[TuneCheck],
    held_out: Sequence[TuneCheck],
    *,
    tokens: Sequence[Tokens] = (),
) -> tuple[AspectFigure, ...]:
    """Compute what is drawn of two populations.

    Parameters
    ----------
    generated, held_out : sequence of TuneCheck
        At least one tune each that can be read.
    tokens : sequence of sequences of (sequence of str, optional)
        Tokens of each tune of the two populations, as in `compare_tunes`.

    Returns
    -------
    tuple of AspectFigure
        One figure for each aspect of `compare_tunes`.

    Raises
    ------
    ParameterError
        If a population has no tune that can be read.

    Examples
    --------
    >>> checks = [check_tune(tune) for tune in tunes]  # doctest: +SKIP
    >>> tune_figures(checks[:60], checks[60:])[0].labels  # doctest: +SKIP
    ('2/4', '4/4', '6/8')
    """
    sizes, aspects = _prepared((generated, held_out), tokens)
    if min(sizes) < 1:
        raise ParameterError(f"{sizes[0]} and {sizes[1]} tunes can be read; need one of each")
    return tuple(
        figure_of(aspect, sizes[0], _DEFINITIONS[aspect.name])
        for aspect in aspects
        if aspect.kind != "Wasserstein"
    )


def _prepared(
    populations: Sequence[Sequence[TuneCheck]], tokens: Sequence[Tokens]
) -> tuple[list[int], list[Aspect]]:
    """Return the numbers of tunes that can be read, and their aspects."""
    features = [[check.features for check in checks if check.features] for checks in populations]
    sizes = [len(population) for population in features]
    tunes = [tune for population in features for tune in population]
    if not tunes:
        return sizes, []
    aspects = list(_aspects(tunes))
    if tokens:
        read = [
            row
            for checks, rows in zip(populations, tokens, strict=True)
            for check, row in zip(checks, rows, strict=True)
            if check.features
        ]
        aspects += _aspects_of_tokens(read)
    return sizes, aspects


def _aspects(tunes: Sequence[TuneFeatures]) -> Iterator[Aspect]:
    for name, category in _CATEGORIES.items():
        yield of_categories(name, [category(tune) for tune in tunes])
    for name, distribution in _DISTRIBUTIONS.items():
        yield of_distributions(name, [distribution(tune) for tune in tunes], DEGREES)
    for name, number in _NUMBERS.items():
        yield from of_numbers(name, [number(tune) for tune in tunes])


def _aspects_of_tokens(rows: Tokens) -> Iterator[Aspect]:
    """Yield the aspects of tokens; a tune without tokens has none of them."""
    yield from of_numbers("tokens", [len(row or ()) for row in rows])
    pitches = [[token for token in row or () if _PITCH.fullmatch(token)] for row in rows]
    counts = [Counter(row) for row in pitches]
    fractions = [{p: n / count.total() for p, n in count.items()} for count in counts]
    names = sorted({p for count in counts for p in count}, key=_height)
    yield of_distributions("pitch tokens", fractions, names)
    for name, place in (("first pitch", 0), ("last pitch", -1)):
        yield of_categories(name, [row[place] if row else "" for row in pitches])


def _height(pitch: str) -> tuple[float, str]:
    """Order pitch tokens from low to high."""
    letter = pitch.strip("=^_,'")
    octave = letter.islower() + pitch.count("'") - pitch.count(",")
    sign = pitch.count("^") - pitch.count("_")
    return 7 * octave + "CDEFGAB".index(letter.upper()) + 0.3 * sign, pitch
