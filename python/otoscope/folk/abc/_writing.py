"""Tunes in ABC notation: beams joined within beats, four measures a line."""

from __future__ import annotations

from fractions import Fraction

from otoscope.folk.abc._spelling import pieces
from otoscope.folk.abc.elements import Bar, Broken, Field
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.tune import Tune

__all__ = ["write_tune"]

_MEASURES_A_LINE = 4


def write_tune(tune: Tune, number: int | None = None) -> str:
    """Write one tune; see `Tune.to_abc`."""
    number = number if number is not None else tune.reference or 1
    headers = [f"{letter}:{text}" for letter, text in tune.headers]
    unit = f"L:{tune.unit.numerator}/{tune.unit.denominator}"
    ours = [f"M:{tune.meter.text}", unit, f"K:{tune.key.abc}"]
    return "\n".join([f"X:{number}", *headers, *ours, *_lines(tune)]) + "\n"


def _lines(tune: Tune) -> list[str]:
    """Write the body: spaces at beats and around bar lines, none between a note and its signs."""
    lines, line = list[str](), ""
    meter, bars, start = tune.meter, 0, Fraction(0)  # start: onset of the measure
    spaced, follows = Fraction(0), False  # where the last space is; whether after broken rhythm
    spelled = pieces(tune.elements, tune.key, tune.meter, tune.unit)
    for timed, parts in zip(tune.timeline, spelled, strict=True):
        element, text = timed.element, "".join(parts)
        if isinstance(element, Field) and isinstance(element.value, Meter):
            meter = element.value
        if isinstance(element, Bar):
            line, start = f"{line.rstrip()} {text} ", timed.onset
            bars += element.text != ""
            if bars == _MEASURES_A_LINE:
                lines, line, bars = [*lines, line.strip()], "", 0
            continue
        trails = isinstance(element, Broken) or text == ")"
        if not (trails or follows or spaced == timed.onset or (timed.onset - start) % meter.beat):
            line, spaced = f"{line.rstrip()} ", timed.onset
        if line.endswith(".") and text == "(":
            line += " "  # ".(" would be a dotted slur
        line, follows = line + text, isinstance(element, Broken)
    return [*lines, line.strip()] if line.strip() else lines
