"""Tunes composed by rule: two repeated parts of eight measures, in a known meter and mode.

Notes are degrees of the scale, 0 the tonic, 7 its octave; durations are eighths. A phrase is a walk
of small steps towards the degree on which it is to end.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune, parse_tune
from otoscope.seeds import numpy_generator

__all__ = ["GENERATED_METERS", "GENERATED_MODES", "generate_tune"]

# Per meter: dance, rhythms of a measure, and rhythm of the last measure of a part.
_RHYTHMS: Final[dict[str, tuple[str, tuple[str, ...], str]]] = {
    "4/4": ("Reel", ("11111111", "2111111", "211211", "31211", "2222"), "11114"),
    "6/8": ("Jig", ("111111", "21111", "2121", "3111"), "1113"),
    "3/4": ("Waltz", ("111111", "21111", "2211", "222", "42"), "24"),
    "2/4": ("Polka", ("1111", "211", "22", "31"), "112"),
    "9/8": ("Slip jig", ("111111111", "21111111", "212121", "3111111"), "1111113"),
    "12/8": ("Slide", ("111111111111", "212121111", "212111121", "2121213"), "212133"),
    "3/2": ("Hornpipe", ("22221111", "4221111", "211112211", "222222"), "22224"),
}
_TONICS: Final = "CDEFGA"
_LETTERS: Final = "CDEFGAB"
_LOWEST, _HIGHEST = -3, 9  # degrees
_STEPS: Final = np.array([-2, -1, 1, 2])
_WEIGHTS: Final = np.array([1.0, 4.0, 4.0, 1.0])

GENERATED_METERS: Final = tuple(_RHYTHMS)
GENERATED_MODES: Final = ("maj", "min", "dor", "mix")


def generate_tune(
    seed: int, index: int, *, meter: str | None = None, mode: str | None = None
) -> Tune:
    """Compose a tune: AABB, each part ``abac`` of two-measure phrases, ending on the tonic.

    Parameters
    ----------
    seed : int
        Random seed of a collection, at least 0.
    index : int
        Index of the tune in the collection, at least 0; a tune does not depend on the others.
    meter : {"4/4", "6/8", "3/4", "2/4", "9/8", "12/8", "3/2"}, optional
        Meter; random by default.
    mode : {"maj", "min", "dor", "mix"}, optional
        Mode; random by default.

    Returns
    -------
    Tune
        Tune in one of the keys C to A, from a fourth below the tonic to a tenth above; steps within
        a phrase are one or two degrees, and the last step to the tonic is one degree.

    Raises
    ------
    ParameterError
        If there is no such meter or mode, or ``seed`` or ``index`` is below 0.

    Examples
    --------
    >>> generate_tune(0, 7, meter="6/8").title
    'Jig 0.7'
    """
    if seed < 0 or index < 0:
        raise ParameterError(f"seed is {seed}, index is {index}; both must be at least 0")
    _require("meter", meter, GENERATED_METERS)
    _require("mode", mode, GENERATED_MODES)
    rng = numpy_generator(seed, index)
    drawn = str(rng.choice(GENERATED_METERS)), str(rng.choice(GENERATED_MODES))
    meter, mode = meter or drawn[0], mode or drawn[1]
    tonic = str(rng.choice(list(_TONICS)))
    parts = (_part(rng, meter, tonic) for _ in range(2))
    return parse_tune(
        f"X:{index + 1}\nT:{_RHYTHMS[meter][0]} {seed}.{index}\nM:{meter}\nL:1/8\n"
        f"K:{tonic}{mode}\n" + "".join(f"|:{' | '.join(part)}:|\n" for part in parts)
    )


def _require(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise ParameterError(f"{name} is {value!r}, must be one of {', '.join(known)}")


def _part(rng: np.random.Generator, meter: str, tonic: str) -> list[str]:
    """Compose eight measures: a statement, an answer, the statement again, a cadence."""
    low, high = (int(degree) for degree in rng.choice([0, 2, 4, 7], 2))
    statement = _phrase(rng, meter, tonic, (low, int(rng.choice([2, 4]))))
    answer = _phrase(rng, meter, tonic, (high, int(rng.choice([1, 4, 6]))))
    cadence = _phrase(rng, meter, tonic, (low, int(rng.choice([0, 7]))), is_last=True)
    return [*statement, *answer, *statement, *cadence]


def _phrase(
    rng: np.random.Generator,
    meter: str,
    tonic: str,
    ends: tuple[int, int],
    *,
    is_last: bool = False,
) -> list[str]:
    """Compose two measures."""
    _, rhythms, last = _RHYTHMS[meter]
    measures = [str(rng.choice(rhythms)), last if is_last else str(rng.choice(rhythms))]
    degrees = iter(_walk(rng, *ends, sum(map(len, measures))))
    return [
        "".join(_note(tonic, next(degrees), duration) for duration in measure)
        for measure in measures
    ]


def _walk(rng: np.random.Generator, start: int, end: int, n_notes: int) -> list[int]:
    """Walk by steps from one degree to another; the last step is one degree.

    A step is drawn from the steps after which the end can still be reached. If the end cannot be
    reached from the start, the walk starts nearer.
    """
    goal = end + (1 if start > end or end == _LOWEST else -1)
    reach = 2 * (n_notes - 2)
    walk = [min(max(start, goal - reach), goal + reach)]
    for n_following in range(n_notes - 3, -1, -1):  # steps after this one
        after = walk[-1] + _STEPS
        away = abs(after - goal)
        possible = (after >= _LOWEST) & (after <= _HIGHEST) & (away <= 2 * n_following)
        if n_following == 1:
            possible &= away > 0  # a step is at least one degree
        weight = _WEIGHTS * possible
        walk.append(int(rng.choice(after, p=weight / weight.sum())))
    return [*walk, end]


def _note(tonic: str, degree: int, duration: str) -> str:
    """Write a degree in ABC: C is below middle a, c an octave above it."""
    octave, letter = divmod(_LETTERS.index(tonic) + degree, 7)
    name = _LETTERS[letter]
    pitch = (name + "," * -octave) if octave <= 0 else name.lower() + "'" * (octave - 1)
    return pitch + ("" if duration == "1" else duration)
