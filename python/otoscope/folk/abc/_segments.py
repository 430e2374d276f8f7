"""Where measures and parts begin and end: at bar lines that divide music, and at repeat marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from otoscope.folk.abc.elements import Bar, Field
from otoscope.folk.abc.measures import HEAVY, Measure, Part
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.timing import Timed

__all__ = ["find_measures", "find_parts", "joined"]


def find_measures(timeline: Iterable[Timed], meter: Meter) -> tuple[Measure, ...]:
    """Return the spans between bar lines that last; ``meter`` is the header's."""
    spans: list[tuple[list[Bar], list[Timed]]] = [([], [])]  # bar lines, and what follows them
    sounds = False
    for timed in timeline:
        element = timed.element
        if isinstance(element, Bar) and (element.text or not sounds):
            if sounds:
                spans.append(([], []))
            spans[-1][0].append(element)
            sounds = False
        else:
            spans[-1][1].append(timed)
            sounds = sounds or timed.duration > 0
    bars = [joined(bars) if bars else None for bars, _ in spans] + [None]
    measures: list[Measure] = []
    for index, (_, span) in enumerate(spans):
        elements = tuple(timed.element for timed in span)
        for element in elements:
            if isinstance(element, Field) and isinstance(element.value, Meter):
                meter = element.value
        duration = sum((timed.duration for timed in span if timed.duration), Fraction(0))
        if duration:
            first = elements[0]
            rest = (elements, meter, bars[index], bars[index + 1], first.line, first.column)
            measures.append(Measure(len(measures) + 1, span[0].onset, duration, *rest))
    return tuple(measures)


def find_parts(measures: Sequence[Measure]) -> tuple[Part, ...]:
    """Return the segments: a part ends at a repeat mark, with all its endings."""
    parts: list[Part] = []
    current: list[Measure] = []
    later = False  # in an ending that the first pass does not play
    for measure in measures:
        left = measure.left or Bar("")
        is_next_ending = bool(left.endings) and 1 not in left.endings
        if current and not is_next_ending:
            ends_later = later and left.text in HEAVY
            if left.opens or left.closes or ends_later:
                parts.append(Part(tuple(current)))
                current, later = [], False
        later = later or is_next_ending
        current.append(measure)
    return (*parts, Part(tuple(current))) if current else tuple(parts)


def joined(bars: Sequence[Bar]) -> Bar:
    """Return what several bar lines at one place mean together."""
    closes, opens = any(bar.closes for bar in bars), any(bar.opens for bar in bars)
    heavy = [bar.text for bar in bars if bar.text in HEAVY]
    plain = heavy[0] if heavy else max((bar.text for bar in bars), key=len)
    repeats = {(True, True): "::", (True, False): ":|", (False, True): "|:"}
    ending = ",".join(bar.ending for bar in bars if bar.ending)
    text = repeats.get((closes, opens), plain)
    return Bar(text, ending, line=bars[0].line, column=bars[0].column)
