"""One tune against the conventions of folk music, one by one, with line and column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.metrics.bars import MEASURE_KINDS, JudgedMeasure, judge_measures
from otoscope.folk.metrics.findings import RULES, Finding
from otoscope.folk.metrics.form import PartShape, form, is_aabb, part_shapes
from otoscope.folk.metrics.melody import accidentals, degrees, ending
from otoscope.folk.metrics.repeats import check_repeats

__all__ = ["Conventions", "TuneCheck", "TuneFacts", "check_tune"]

_UNFINISHED = "unfinished"  # how the N: line begins that `otoscope folk sample` writes


@dataclass(frozen=True)
class Conventions:
    """Where the rules that have a bound draw it.

    Parameters
    ----------
    widest_range : int
        From the lowest note to the highest, in semitones, at least 1. 28: a fiddle's first
        position, g to b''.
    most_accidentals : float
        Share of notes outside the key, in [0, 1].

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
        """Check at the door."""
        if self.widest_range < 1 or not 0 <= self.most_accidentals <= 1:
            raise ParameterError(
                f"widest_range is {self.widest_range} and most_accidentals "
                f"{self.most_accidentals}; need at least 1, and a share in [0, 1]"
            )


@dataclass(frozen=True)
class TuneFacts:
    """What was counted in a tune that could be read.

    Parameters
    ----------
    meter, key : str
        Of the header.
    measures : tuple of JudgedMeasure
        As written.
    parts : tuple of PartShape
        Segments at repeat marks.
    notes : int
        As written; chord notes each, grace notes not.
    lowest, highest : int, optional
        MIDI numbers; None without notes.
    accidentals : float
        Share of notes outside the key.
    last, before_last : str
        Degrees of the last note heard and of the one before it; "" where there is none.
    degrees_by_count, degrees_by_duration : dict of str to float
        Shares of the twelve degrees in what is heard; empty without tonic or notes.
    is_finished : bool
        False where the file says (N:unfinished) that the model did not end the tune.

    Examples
    --------
    >>> check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]")).facts.last
    '1'
    """

    meter: str
    key: str
    measures: tuple[JudgedMeasure, ...]
    parts: tuple[PartShape, ...]
    notes: int
    lowest: int | None
    highest: int | None
    accidentals: float
    last: str
    before_last: str
    degrees_by_count: dict[str, float]
    degrees_by_duration: dict[str, float]
    is_finished: bool

    @property
    def range(self) -> int:
        """Distance from the lowest note to the highest, in semitones; 0 without notes."""
        return (self.highest or 0) - (self.lowest or 0)

    @property
    def form(self) -> str:
        """The parts by letters: "AABB"."""
        return form(self.parts)

    @property
    def measures_by_kind(self) -> dict[str, int]:
        """How many measures are full, split, short, ..."""
        counts = Counter(measure.kind for measure in self.measures)
        return {kind: counts[kind] for kind in MEASURE_KINDS if counts[kind]}


@dataclass(frozen=True)
class TuneCheck:
    """What was found in a tune.

    Parameters
    ----------
    name : str
        Its title, or what it was called.
    line : int, optional
        Where it begins.
    findings : tuple of Finding
        By line and column.
    facts : TuneFacts, optional
        None if it could not be read.

    Examples
    --------
    >>> check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]")).broken
    ('parts',)
    """

    name: str
    line: int | None
    findings: tuple[Finding, ...]
    facts: TuneFacts | None

    @property
    def is_valid(self) -> bool:
        """Whether it can be read and its bars add up."""
        return not {"parse", "bars"} & set(self.broken)

    @property
    def broken(self) -> tuple[str, ...]:
        """The rules that it breaks, in the order of `RULES`."""
        return tuple(rule for rule in RULES if any(rule == found.rule for found in self.findings))

    def keeps(self, rule: str) -> bool | None:
        """Tell whether the tune keeps a rule.

        Parameters
        ----------
        rule : str
            A key of `RULES`.

        Returns
        -------
        bool, optional
            None where the rule does not apply: most need a tune that can be read, the cadence one
            that ends on the tonic.

        Examples
        --------
        >>> check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]")).keeps("bars")
        True
        """
        facts = self.facts
        if rule == "parse":
            return facts is not None
        if facts is None:
            return None
        applies = {
            "tonic": bool(facts.last),
            "cadence": facts.last == "1" and bool(facts.before_last),
        }
        return rule not in self.broken if applies.get(rule, True) else None

    def to_dict(self) -> dict[str, Any]:
        """Give it in JSON's types."""
        facts = self.facts
        told: dict[str, Any] = {
            "name": self.name,
            "line": self.line,
            "valid": self.is_valid,
            "rules": {rule: self.keeps(rule) for rule in RULES},
            "findings": list(self.findings),
        }
        if facts is None:
            return told
        return told | {
            "meter": facts.meter,
            "key": facts.key,
            "form": facts.form,
            "parts": list(facts.parts),
            "measures": facts.measures_by_kind,
            "notes": facts.notes,
            "lowest": facts.lowest,
            "highest": facts.highest,
            "range": facts.range,
            "accidentals": facts.accidentals,
            "last": facts.last or None,
            "before_last": facts.before_last or None,
            "degrees_by_count": facts.degrees_by_count,
            "degrees_by_duration": facts.degrees_by_duration,
            "finished": facts.is_finished,
        }


def check_tune(
    tune: Tune | NotationError, *, conventions: Conventions | None = None, name: str = ""
) -> TuneCheck:
    """Check one tune.

    Parameters
    ----------
    tune : Tune or NotationError
        An entry of `read_book`.
    conventions : Conventions, optional
        Bounds of the rules.
    name : str
        What to call it if it has no title.

    Returns
    -------
    TuneCheck
        Findings, each of a rule of `RULES`, and what was counted.

    References
    ----------
    Sturm, Santos, Ben-Tal, Korshunova: Music transcription modelling and composition using deep
    learning, 2016: generated tunes, looked at one by one.

    Examples
    --------
    >>> found = check_tune(parse_tune("M:2/4\\nL:1/4\\nK:D\\n|:FE|DEF|D2:|"))
    >>> print(next(finding for finding in found.findings if finding.rule == "bars"))
    line 4, column 6: bar 2 lasts 3/4, the meter is 2/4
    """
    if isinstance(tune, NotationError):
        place = (tune.line, tune.column, tune.message)
        return TuneCheck(name, tune.line, (Finding("parse", *place),), None)
    facts = _facts(tune)
    findings = list(_findings(tune, facts, conventions or Conventions()))
    findings.sort(key=lambda found: (found.line or 0, found.column or 0))
    return TuneCheck(tune.title or name, tune.line, tuple(findings), facts)


def _facts(tune: Tune) -> TuneFacts:
    pitches = [note.pitch for note in tune.notes]
    outside, count = accidentals(tune)
    last, before_last = ending(tune)
    return TuneFacts(
        tune.meter.text,
        tune.key.abc,
        judge_measures(tune),
        part_shapes(tune),
        count,
        min(pitches, default=None),
        max(pitches, default=None),
        len(outside) / max(count, 1),
        last,
        before_last,
        *degrees(tune),
        not any(letter == "N" and text.startswith(_UNFINISHED) for letter, text in tune.headers),
    )


def _findings(tune: Tune, facts: TuneFacts, bounds: Conventions) -> Iterator[Finding]:
    yield from map(_of_measure, filter(lambda measure: measure.is_wrong, facts.measures))
    yield from check_repeats(tune)
    heard = tune.unfolded.melody
    begin = (tune.measures[0].line, tune.measures[0].column) if tune.measures else (tune.line, 1)
    end = (heard[-1].line, heard[-1].column) if heard else begin
    if not is_aabb(facts.parts):
        shape = ", ".join(_part(part) for part in facts.parts) or "no part"
        yield Finding("parts", *begin, f"the form is {facts.form or 'empty'}: {shape}")
    if facts.range > bounds.widest_range:
        top = max(tune.notes, key=lambda note: note.pitch)
        message = f"the range is {facts.range} semitones, more than {bounds.widest_range}"
        yield Finding("range", top.line, top.column, f"{message}; here is the highest note")
    if facts.last and facts.last != "1":
        yield Finding("tonic", *end, f"the last note is degree {facts.last}, not the tonic")
    if facts.last == "1" and facts.before_last and facts.before_last.lstrip("b") not in "2357":
        yield Finding("cadence", *end, f"the tonic is reached from degree {facts.before_last}")
    if facts.accidentals > bounds.most_accidentals:
        first = accidentals(tune)[0][0]
        message = f"{100 * facts.accidentals:.0f} % of the notes are outside the key; the first"
        yield Finding("accidentals", first.line, first.column, message)
    if not facts.is_finished:
        yield Finding("finished", *end, "the model that wrote it did not end it before its limit")


def _of_measure(measure: JudgedMeasure) -> Finding:
    length = f"{measure.duration.numerator}/{measure.duration.denominator}"
    lasts = f"bar {measure.number} lasts {length}, the meter is {measure.meter}"
    return Finding("bars", measure.line, measure.column, lasts)


def _part(part: PartShape) -> str:
    bars = "free meter" if math.isnan(part.bars) else f"{part.bars:.4g} bars"
    return f"{bars}, repeated" if part.is_repeated else bars
