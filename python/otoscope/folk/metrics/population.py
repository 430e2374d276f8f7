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
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from sys import intern
from typing import Final, NamedTuple, TypeAlias

import numpy as np

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

__all__ = ["READABLE", "TuneRow", "compare_tunes", "tune_figures"]

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


READABLE: Final = "can be read"
"""Name of the aspect of all tunes."""

_DEFINITIONS: Final = {
    READABLE: "whether the notation can be read; all other aspects are of the tunes that can",
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


class TuneRow(NamedTuple):
    """Facts of a tune that are compared: small, so that a population is held without its tunes.

    Attributes
    ----------
    categories : tuple of str
        Meter, mode, form and the others.
    degrees : tuple of array
        Fractions of the twelve scale degrees, by count and by duration; empty without tonic.
    numbers : array
        Measures, parts and the others.
    pitches : dict of str to float, optional
        Fractions of the pitch tokens; None without tokens.
    first_pitch, last_pitch : str
        First and last pitch token; "" without one.
    n_tokens : int
        Number of tokens.
    """

    categories: tuple[str, ...]
    degrees: tuple[array[float], ...]
    numbers: array[float]
    pitches: dict[str, float] | None = None
    first_pitch: str = ""
    last_pitch: str = ""
    n_tokens: int = 0

    @classmethod
    def of(cls, features: TuneFeatures, tokens: Sequence[str] | None = None) -> TuneRow:
        """Return the row of a tune with its tokens on root C (v2), if it has some."""
        degrees = [distribution(features) for distribution in _DISTRIBUTIONS.values()]
        row = cls(
            tuple(intern(category(features)) for category in _CATEGORIES.values()),
            tuple(array("d", [d.get(name, 0.0) for name in DEGREES] if d else []) for d in degrees),
            array("d", [number(features) for number in _NUMBERS.values()]),
        )
        pitches = [intern(token) for token in tokens or () if _PITCH.fullmatch(token)]
        counts = Counter(pitches)
        first, last = (pitches[0], pitches[-1]) if pitches else ("", "")
        fractions = {pitch: n / counts.total() for pitch, n in counts.items()}
        return row._replace(
            pitches=fractions, first_pitch=first, last_pitch=last, n_tokens=len(tokens or ())
        )


_Tunes: TypeAlias = "Sequence[TuneCheck | TuneRow | None]"


def compare_tunes(
    generated: _Tunes,
    held_out: _Tunes,
    train: _Tunes = (),
    *,
    tokens: Sequence[Tokens] = (),
    n_draws: int = 2000,
    seed: int = 0,
) -> tuple[PopulationDistance, ...]:
    """Compare generated tunes with real ones that their model has not seen.

    Parameters
    ----------
    generated, held_out : sequence of TuneCheck or TuneRow
        At least two tunes each; of those that cannot be read, or are None, only their number is
        compared.
    train : sequence of TuneCheck or TuneRow
        Real tunes for the noise floor.
    tokens : sequence of sequences of (sequence of str, optional)
        Tokens on root C (v2) of each tune of the three populations, None for a tune that has none;
        without them, the aspects of tokens are left out. Rows have theirs.
    n_draws : int
        Number of draws of the bootstrap, of the permutation test and of the floor, at least 1.
    seed : int
        Random seed of the draws.

    Returns
    -------
    tuple of PopulationDistance
        Total variation of categories and scale degrees; Kolmogorov-Smirnov and Wasserstein
        distances of numbers; last, if some tune cannot be read, total variation of "can be read".

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
    distances = [distance_of(aspect, sizes, n_draws, rng) for aspect in aspects]
    if readable := _readable((generated, held_out, train)):
        totals = [len(generated), len(held_out), len(train)]
        distances.append(distance_of(readable, totals, n_draws, rng))
    return correct_together(distances)


def tune_figures(
    generated: _Tunes,
    held_out: _Tunes,
    *,
    tokens: Sequence[Tokens] = (),
) -> tuple[AspectFigure, ...]:
    """Compute what is drawn of two populations.

    Parameters
    ----------
    generated, held_out : sequence of TuneCheck or TuneRow
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
    drawn = [(aspect, sizes[0]) for aspect in aspects if aspect.kind != "Wasserstein"]
    if readable := _readable((generated, held_out)):
        drawn.append((readable, len(generated)))
    return tuple(figure_of(aspect, n, _DEFINITIONS[aspect.name]) for aspect, n in drawn)


def _readable(populations: Sequence[_Tunes]) -> Aspect | None:
    """Make the aspect of all tunes, whether they can be read; None if all can."""
    can = [str(bool(list(_rows([tune], ())))) for tunes in populations for tune in tunes]
    return of_categories(READABLE, can) if "False" in can else None


def _prepared(
    populations: Sequence[_Tunes], tokens: Sequence[Tokens]
) -> tuple[list[int], list[Aspect]]:
    """Return the numbers of tunes that can be read, and their aspects."""
    read = [list(_rows(tunes, tokens[i] if tokens else ())) for i, tunes in enumerate(populations)]
    sizes = [len(population) for population in read]
    rows = [row for population in read for row in population]
    if not rows:
        return sizes, []
    aspects = list(_aspects(rows))
    if any(row.pitches is not None for row in rows):
        aspects += _aspects_of_tokens(rows)
    return sizes, aspects


def _rows(tunes: _Tunes, tokens: Tokens) -> Iterator[TuneRow]:
    """Yield the rows of the tunes that can be read."""
    for place, tune in enumerate(tunes):
        if isinstance(tune, TuneRow):
            yield tune
        elif tune is not None and tune.features:
            row = TuneRow.of(tune.features, tokens[place] if tokens else None)
            yield row if tokens else row._replace(pitches=None)


def _aspects(rows: Sequence[TuneRow]) -> Iterator[Aspect]:
    for place, name in enumerate(_CATEGORIES):
        yield of_categories(name, [row.categories[place] for row in rows])
    for place, name in enumerate(_DISTRIBUTIONS):
        none = array("d", bytes(8 * len(DEGREES)))
        vectors = np.array([row.degrees[place] or none for row in rows])
        yield Aspect(name, "total variation", vectors, DEGREES)
    for place, name in enumerate(_NUMBERS):
        yield from of_numbers(name, [row.numbers[place] for row in rows])


def _aspects_of_tokens(rows: Sequence[TuneRow]) -> Iterator[Aspect]:
    """Yield the aspects of tokens; a tune without tokens has none of them."""
    yield from of_numbers("tokens", [row.n_tokens for row in rows])
    fractions = [row.pitches or {} for row in rows]
    names = sorted({pitch for row in fractions for pitch in row}, key=_height)
    yield of_distributions("pitch tokens", fractions, names)
    yield of_categories("first pitch", [row.first_pitch for row in rows])
    yield of_categories("last pitch", [row.last_pitch for row in rows])


def _height(pitch: str) -> tuple[float, str]:
    """Order pitch tokens from low to high."""
    letter = pitch.strip("=^_,'")
    octave = letter.islower() + pitch.count("'") - pitch.count(",")
    sign = pitch.count("^") - pitch.count("_")
    return 7 * octave + "CDEFGAB".index(letter.upper()) + 0.3 * sign, pitch
