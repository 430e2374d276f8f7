"""A judge of tunes: screens that a tune passes or not, and grades, against a reference collection.

The stages are those of the AI Music Generation Challenges, with this project's definitions. Every
bound is a quantile of the reference collection; what a half of it would score is measured with
counts of the other half. The judge is a screen: whether musicians would agree is not known until
their ratings are compared.

With F the distribution of a value over the reference tunes, the typicality of x is
min(1, 2 min(P(F <= x), P(F >= x))): 1 at the median, 0 outside of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.abc import Neighbour, NgramIndex, Tune
from otoscope.folk.metrics.features import TuneFeatures, tune_features
from otoscope.folk.model.kneser_ney import KneserNey

__all__ = ["JUDGES", "Judge", "Judgement", "PresetName", "Screen"]

PresetName: TypeAlias = Literal["challenge2020", "challenge2022"]


@dataclass(frozen=True)
class _Preset:
    """A challenge: the tunes that it asked for, and the screens of its judges."""

    dance: str
    meters: tuple[str, ...]
    screens: tuple[str, ...]


JUDGES: Final[dict[str, _Preset]] = {
    "challenge2020": _Preset("double jigs", ("6/8",), ("plagiarism", "range", "rhythm")),
    "challenge2022": _Preset(
        "reels",
        ("4/4", "C", "2/2", "C|"),
        ("plagiarism", "rhythm", "mode", "accidentals"),
    ),
}
"""Presets: dance, its meters, and the screens in the order of the challenge."""

_ALL_SCREENS = ("plagiarism", "range", "rhythm", "mode", "accidentals")

Value = TypeVar("Value")

_LEAST = 20  # reference tunes
_RARE = 0.05  # quantile of the bounds
_RARE_MODE = 0.01
_FURTHEST = 24  # semitones of an interval of its own in the melodic model
_START, _END = 0, 1


@dataclass(frozen=True)
class Screen:
    """One question to a tune.

    Parameters
    ----------
    name : str
        "plagiarism", "range", "rhythm", "mode" or "accidentals".
    passed : bool
        Whether the tune passes.
    message : str
        Value that was measured, and bound.

    Examples
    --------
    >>> Screen("range", True, "17 semitones; 9 to 24 are usual").passed
    True
    """

    name: str
    passed: bool
    message: str


@dataclass(frozen=True)
class Judgement:
    """Screens and grades of a tune.

    Parameters
    ----------
    screens : tuple of Screen
        Screens in the order of the preset.
    structure, melody : float
        Typicality in [0, 1]: of the number of measures, of parts and of recurring bars; and of the
        nats per interval under a trigram of the reference's intervals, and of the range.
    nearest : str
        Name of the reference tune that the tune resembles most, or "".

    Examples
    --------
    >>> Judgement((Screen("range", False, "40 semitones"),), 0.4, 0.6, "").grade
    0.5
    """

    screens: tuple[Screen, ...]
    structure: float
    melody: float
    nearest: str

    @property
    def passed(self) -> bool:
        """Whether the tune passes all screens."""
        return all(screen.passed for screen in self.screens)

    @property
    def grade(self) -> float:
        """Mean of the grades, in [0, 1]."""
        return (self.structure + self.melody) / 2

    @property
    def order(self) -> tuple[int, float]:
        """Sorting key: fewest failed screens first, then the highest grade."""
        return sum(not screen.passed for screen in self.screens), -self.grade


@dataclass(frozen=True)
class _Traits:
    """Hold what is compared of a tune."""

    features: TuneFeatures
    mode: str
    rhythms: tuple[tuple[Fraction, ...], ...]
    recurring: float
    intervals: tuple[int, ...]


class Judge:
    """Judge of tunes by a reference collection.

    Parameters
    ----------
    reference : sequence of (str, Tune)
        Names and tunes of the tradition; those in the meters of the preset are used.
    preset : {"challenge2020", "challenge2022"} or str
        Screens: plagiarism, range, rhythm for double jigs; or plagiarism, rhythm, mode, accidentals
        for reels; or a meter such as "2/4": all five, for tunes in it.
    copied : float
        Fraction of a tune's runs of ten intervals in one reference tune from which it counts as
        plagiarism, in (0, 1].

    Raises
    ------
    ParameterError
        If fewer than 20 reference tunes are in the preset's meters, or an argument is out of range.

    References
    ----------
    Sturm et al. (2023) :cite:`sturm2023challenge` describe the challenges; an artificial judge was
    to detect plagiarism, analyse rhythm, mode and accidentals, and grade structure and melody.

    Examples
    --------
    >>> from otoscope.folk.data import generate_tune
    >>> tunes = [(str(i), generate_tune(0, i)) for i in range(400)]
    >>> judge = Judge(tunes, preset="challenge2020")
    >>> jig = next(tune for _, tune in tunes if tune.meter.text == "6/8")
    >>> [screen.name for screen in judge(jig).screens if not screen.passed]
    ['plagiarism']
    """

    def __init__(
        self,
        reference: Sequence[tuple[str, Tune]],
        *,
        preset: PresetName | str = "challenge2022",
        copied: float = 0.5,
    ) -> None:
        if preset not in JUDGES and not preset.partition("/")[2].isdigit():
            raise ParameterError(f"preset is {preset!r}, must be {' or '.join(JUDGES)}, or a meter")
        if not 0 < copied <= 1:
            raise ParameterError(f"copied is {copied:g}, must be in (0, 1]")
        self.preset, self.copied = preset, copied
        by_meter = _Preset(f"tunes in {preset}", _spellings(preset), _ALL_SCREENS)
        self._asked = JUDGES.get(preset, by_meter)
        tunes = [(name, tune) for name, tune in reference if self._is_dance(tune)]
        if len(tunes) < _LEAST:
            raise ParameterError(
                f"{len(tunes)} of {len(reference)} reference tunes are in "
                f"{' or '.join(self._asked.meters)}; {preset} judges {self._asked.dance} and needs "
                f"at least {_LEAST}"
            )
        self.n_reference = len(tunes)
        self._index = NgramIndex()
        names = Counter(name for name, _ in tunes)
        for number, (name, tune) in enumerate(tunes, start=1):
            self._index.add(f"{name} ({number})" if names[name] > 1 else name, tune)
        traits = [_traits(tune) for _, tune in tunes]
        halves = traits[::2], traits[1::2]
        self._rhythms = [_fractions(r for t in half for r in t.rhythms) for half in halves]
        self._melodies = [_trigram(half) for half in halves]
        crossed = [(t, 1 - i) for i, half in enumerate(halves) for t in half]
        self._modes = _fractions(t.mode for t in traits)
        self._meters = _fractions(_meter(t.features.meter) for t in traits)
        self._familiar = np.array([self._familiarity(t, half) for t, half in crossed])
        self._nats = np.array([self._nats_of(t, half) for t, half in crossed])
        self._numbers = {
            name: np.array([float(value(t)) for t in traits]) for name, value in _NUMBERS.items()
        }

    def __call__(self, tune: Tune) -> Judgement:
        """Judge a tune.

        Parameters
        ----------
        tune : Tune
            Tune in any key.

        Returns
        -------
        Judgement
            Screens and grades.
        """
        traits, neighbours = _traits(tune), self._index.nearest(tune, 1)
        screens = {
            "plagiarism": lambda: self._plagiarism(neighbours),
            "range": lambda: self._range(traits),
            "rhythm": lambda: self._rhythm(traits),
            "mode": lambda: self._mode(traits),
            "accidentals": lambda: self._accidentals(traits),
        }
        typical = {
            name: typicality(float(value(traits)), self._numbers[name])
            for name, value in _NUMBERS.items()
        }
        melody = [typicality(self._mean_nats(traits), self._nats), typical["range"]]
        structure = [typical[name] for name in ("measures", "parts", "recurring")]
        return Judgement(
            tuple(screens[name]() for name in self._asked.screens),
            float(np.mean(structure)),
            float(np.mean(melody)),
            neighbours[0].name if neighbours else "",
        )

    def _is_dance(self, tune: Tune) -> bool:
        return tune.meter.text in self._asked.meters and bool(tune.notes)

    def _plagiarism(self, neighbours: Sequence[Neighbour]) -> Screen:
        if not neighbours:
            return Screen("plagiarism", True, "no run of ten intervals is in a reference tune")
        nearest = neighbours[0]
        message = f"{nearest.containment:.0%} of its runs of ten intervals are in {nearest.name}"
        return Screen("plagiarism", nearest.containment < self.copied, message)

    def _range(self, traits: _Traits) -> Screen:
        low, high = np.quantile(self._numbers["range"], [_RARE / 2, 1 - _RARE / 2])
        value = traits.features.range
        message = f"{value} semitones; {low:.0f} to {high:.0f} are usual"
        return Screen("range", bool(low <= value <= high), message)

    def _rhythm(self, traits: _Traits) -> Screen:
        meter = _meter(traits.features.meter)
        wrong = sum(measure.is_wrong for measure in traits.features.measures)
        familiar = float(np.mean([self._familiarity(traits, half) for half in (0, 1)]))
        least = float(np.quantile(self._familiar, _RARE))
        reasons = [
            f"its meter is {meter}" * (self._meters.get(meter, 0) < _RARE),
            f"{wrong} bar{'s' * (wrong != 1)} do not add up" * (wrong > 0),
            f"{familiar:.0%} of its bars have a rhythm of the reference; {least:.0%} are usual"
            * (familiar < least),
        ]
        said = "; ".join(filter(None, reasons))
        return Screen("rhythm", not said, said or f"{familiar:.0%} of its rhythms are known")

    def _mode(self, traits: _Traits) -> Screen:
        share = self._modes.get(traits.mode, 0.0)
        message = f"{traits.mode} has {share:.1%} of the reference tunes"
        return Screen("mode", share >= _RARE_MODE, message)

    def _accidentals(self, traits: _Traits) -> Screen:
        value, most = traits.features.accidentals, self._most("accidentals")
        message = f"{value:.1%} of its notes are outside the key; at most {most:.1%} are usual"
        return Screen("accidentals", value <= most, message)

    def _most(self, name: str) -> float:
        return float(np.quantile(self._numbers[name], 1 - _RARE))

    def _familiarity(self, traits: _Traits, half: int) -> float:
        """Fraction of bars whose rhythm is in a half of the reference."""
        known = self._rhythms[half]
        return float(np.mean([r in known for r in traits.rhythms])) if traits.rhythms else 0.0

    def _nats_of(self, traits: _Traits, half: int) -> float:
        """Nats per interval under the trigram of a half of the reference."""
        ids = _ids(traits.intervals)
        model = self._melodies[half]
        return float(
            -np.mean([np.log(model.probabilities(ids[:i])[ids[i]]) for i in range(1, len(ids))])
        )

    def _mean_nats(self, traits: _Traits) -> float:
        return float(np.mean([self._nats_of(traits, half) for half in (0, 1)]))


def typicality(value: float, among: NDArray[np.float64]) -> float:
    """Return min(1, 2 min(P(F <= x), P(F >= x)))."""
    below, above = (among <= value).mean(), (among >= value).mean()
    return min(1.0, 2 * float(min(below, above)))


_NUMBERS: Final[dict[str, Callable[[_Traits], float]]] = {
    "measures": lambda traits: len(traits.features.measures),
    "parts": lambda traits: len(traits.features.form),
    "recurring": lambda traits: traits.recurring,
    "range": lambda traits: traits.features.range,
    "accidentals": lambda traits: traits.features.accidentals,
}


def _traits(tune: Tune) -> _Traits:
    notes, rhythms, contents = list(tune.notes), [], []
    first = 0
    for measure in tune.measures:
        end = measure.onset + measure.duration
        while first < len(notes) and notes[first].onset < measure.onset:
            first += 1
        inside = []
        for note in notes[first:]:
            if note.onset >= end:
                break
            inside.append(note)
        rhythm = tuple(note.onset - measure.onset for note in inside)
        rhythms.append(rhythm)
        contents.append((rhythm, tuple(note.pitch for note in inside)))
    counts = Counter(contents)
    recurring = sum(counts[content] > 1 for content in contents) / max(1, len(contents))
    return _Traits(tune_features(tune), tune.key.mode, tuple(rhythms), recurring, tune.intervals)


def _meter(text: str) -> str:
    """Write common and cut time as fractions."""
    return {"C": "4/4", "C|": "2/2"}.get(text, text)


def _spellings(meter: str) -> tuple[str, ...]:
    """Return a meter and its other sign."""
    return meter, *(text for text in ("C", "C|") if _meter(text) == meter)


def _fractions(values: Iterable[Value]) -> dict[Value, float]:
    counts = Counter(values)
    return {value: n / counts.total() for value, n in counts.items()}


def _ids(intervals: Sequence[int]) -> list[int]:
    """Write intervals as ids; larger ones count as the largest."""
    inside = (max(-_FURTHEST, min(_FURTHEST, interval)) for interval in intervals)
    return [_START, *(2 + _FURTHEST + interval for interval in inside), _END]


def _trigram(traits: Sequence[_Traits]) -> KneserNey:
    return KneserNey([_ids(t.intervals) for t in traits], n_tokens=3 + 2 * _FURTHEST)
