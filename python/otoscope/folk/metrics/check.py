"""One tune against the conventions of folk music, rule by rule, with line and column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from otoscope.errors import ParameterError
from otoscope.folk.abc import BarLine, NotationError, Tune
from otoscope.folk.metrics.features import (
    PartShape,
    TuneFeatures,
    accidentals,
    is_aabb,
    tune_features,
)
from otoscope.folk.metrics.measures import ClassifiedMeasure
from otoscope.folk.metrics.rules import RULES, Violation, check_repeats

__all__ = ["Conventions", "TuneCheck", "check_tune"]


@dataclass(frozen=True)
class Conventions:
    """Bounds of the rules.

    Parameters
    ----------
    widest_range : int
        Largest distance from the lowest note to the highest, in semitones, at least 1; 28 is a
        fiddle's first position, g to b''.
    most_accidentals : float
        Largest fraction of notes outside the key, in [0, 1].

    Raises
    ------
    ParameterError
        If a bound is out of range.

    Examples
    --------
    >>> Conventions().widest_range
    28
    """

    widest_range: int = 28
    most_accidentals: float = 0.1

    def __post_init__(self) -> None:
        if self.widest_range < 1 or not 0 <= self.most_accidentals <= 1:
            raise ParameterError(
                f"widest_range is {self.widest_range} and most_accidentals "
                f"{self.most_accidentals}; need at least 1, and a fraction in [0, 1]"
            )


@dataclass(frozen=True)
class TuneCheck:
    """Violations and features of a tune.

    Parameters
    ----------
    name : str
        Title of the tune, or the name given to `check_tune`.
    line : int, optional
        Line where the tune begins.
    violations : tuple of Violation
        Rules that the tune breaks, by line and column.
    features : TuneFeatures, optional
        Features of the tune; None if it could not be read.

    Notes
    -----
    There are two definitions of a valid tune. **valid**: the tune can be read and its bars add up,
    across part boundaries as well. **valid inside parts**: the same, but the first and the last
    measure of a part may be short without a complement. A valid tune is valid inside parts.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]")).broken
    ('parts',)
    """

    name: str
    line: int | None
    violations: tuple[Violation, ...]
    features: TuneFeatures | None

    @property
    def is_valid(self) -> bool:
        """Whether the tune can be read and its bars add up."""
        return not {"parse", "bars"} & set(self.broken)

    @property
    def is_valid_inside(self) -> bool:
        """Whether the tune can be read and its bars add up inside the parts."""
        measures = self.features.measures if self.features else ()
        return self.features is not None and not any(one.is_wrong_inside for one in measures)

    @property
    def broken(self) -> tuple[str, ...]:
        """Rules that the tune breaks, in the order of `RULES`."""
        names = {violation.rule for violation in self.violations}
        return tuple(rule for rule in RULES if rule in names)

    def keeps(self, rule: str) -> bool | None:
        """Return whether the tune keeps a rule.

        Parameters
        ----------
        rule : str
            A key of `RULES`.

        Returns
        -------
        bool, optional
            None if the rule does not apply: most rules need a tune that can be read, the cadence
            a tune that ends on the tonic.

        Examples
        --------
        >>> from otoscope.folk.abc import parse_tune
        >>> check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]")).keeps("bars")
        True
        """
        features = self.features
        if rule == "parse":
            return features is not None
        if features is None:
            return None
        applies = {
            "tonic": bool(features.last),
            "cadence": features.last == "1" and bool(features.before_last),
        }
        return rule not in self.broken if applies.get(rule, True) else None

    def to_dict(self) -> dict[str, Any]:
        """Return violations and features in JSON's types."""
        features = self.features
        content: dict[str, Any] = {
            "name": self.name,
            "line": self.line,
            "valid": self.is_valid,
            "valid_inside": self.is_valid_inside,
            "rules": {rule: self.keeps(rule) for rule in RULES},
            "violations": list(self.violations),
        }
        if features is None:
            return content
        return content | {
            "meter": features.meter,
            "key": features.key,
            "form": features.form,
            "parts": list(features.parts),
            "measures": features.measures_by_kind,
            "notes": features.notes,
            "lowest": features.lowest,
            "highest": features.highest,
            "range": features.range,
            "accidentals": features.accidentals,
            "last": features.last or None,
            "before_last": features.before_last or None,
            "degrees_by_count": features.degrees_by_count,
            "degrees_by_duration": features.degrees_by_duration,
            "finished": features.is_finished,
        }


def check_tune(
    tune: Tune | NotationError, *, conventions: Conventions | None = None, name: str = ""
) -> TuneCheck:
    """Check one tune.

    Parameters
    ----------
    tune : Tune or NotationError
        An item of what `read_book` returns.
    conventions : Conventions, optional
        Bounds of the rules.
    name : str
        Name for a tune without title.

    Returns
    -------
    TuneCheck
        Violations, each of a rule of `RULES`, and features.

    References
    ----------
    Sturm et al. (2016) :cite:`sturm2016folkrnn`: generated tunes, looked at one by one.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> check = check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\n|:FE|DEF|D2:|"))
    >>> print(next(violation for violation in check.violations if violation.rule == "bars"))
    line 4, column 6: bar 2 lasts 3/4, the meter is 2/4
    """
    if isinstance(tune, NotationError):
        violation = Violation("parse", tune.line, tune.column, tune.message)
        return TuneCheck(name, tune.line, (violation,), None)
    tune = replace(tune)  # what is derived from it goes with this copy
    features = tune_features(tune)
    violations = list(_violations(tune, features, conventions or Conventions()))
    violations.sort(key=lambda violation: (violation.line or 0, violation.column or 0))
    return TuneCheck(tune.title or name, tune.line, tuple(violations), features)


def _violations(tune: Tune, features: TuneFeatures, bounds: Conventions) -> Iterator[Violation]:
    if _has_no_bar_lines(tune, features):
        yield _no_bar_lines(features.measures[0])
    else:
        yield from (_bar_violation(measure) for measure in features.measures if measure.is_wrong)
    yield from check_repeats(tune)
    melody = tune.unfolded.sounding_melody
    begin = (tune.measures[0].line, tune.measures[0].column) if tune.measures else (tune.line, 1)
    end = (melody[-1].line, melody[-1].column) if melody else begin
    if not is_aabb(features.parts):
        shape = ", ".join(_part(part) for part in features.parts) or "no part"
        yield Violation("parts", *begin, f"the form is {features.form or 'empty'}: {shape}")
    if features.range > bounds.widest_range:
        top = max(tune.sounding, key=lambda note: note.pitch)
        message = f"the range is {features.range} semitones, more than {bounds.widest_range}"
        yield Violation("range", top.line, top.column, f"{message}; here is the highest note")
    if features.last and features.last != "1":
        yield Violation("tonic", *end, f"the last note is degree {features.last}, not the tonic")
    before_last = features.before_last
    if features.last == "1" and before_last and before_last.lstrip("b") not in "2357":
        yield Violation("cadence", *end, f"the tonic is reached from degree {before_last}")
    if features.accidentals > bounds.most_accidentals:
        first = accidentals(tune)[0][0]
        message = f"{100 * features.accidentals:.0f} % of the notes are outside the key; the first"
        yield Violation("accidentals", first.line, first.column, message)
    if not features.is_finished:
        yield Violation("finished", *end, "the model that wrote it did not end it before its limit")


def _has_no_bar_lines(tune: Tune, features: TuneFeatures) -> bool:
    """Whether no bar line divides a music of more than one bar."""
    if len(features.measures) != 1 or features.measures[0].kind != "long":
        return False
    is_marked = any(isinstance(x, BarLine) and x.text for x in tune.elements)
    measure = features.measures[0]
    return not is_marked or measure.duration >= 2 * measure.full  # else a bar that is too long


def _no_bar_lines(measure: ClassifiedMeasure) -> Violation:
    message = f"no bar lines: the music lasts {_length(measure)}, the meter is {measure.meter}"
    return Violation("bars", measure.line, measure.column, message)


def _bar_violation(measure: ClassifiedMeasure) -> Violation:
    message = f"bar {measure.number} lasts {_length(measure)}, the meter is {measure.meter}"
    return Violation("bars", measure.line, measure.column, message)


def _length(measure: ClassifiedMeasure) -> str:
    return f"{measure.duration.numerator}/{measure.duration.denominator}"


def _part(part: PartShape) -> str:
    bars = "free meter" if math.isnan(part.bars) else f"{part.bars:.4g} bars"
    return f"{bars}, repeated" if part.is_repeated else bars
