"""Tunes with planted faults, and copies of tunes: what checks and the index must find."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from otoscope.folk.abc import BarLine, Element, GraceNotes, Note, Tune, parse_tune

__all__ = ["first_part", "ornamented", "with_wrong_duration"]


def quarters(body: str, *, key: str = "C", meter: str = "2/4") -> Tune:
    """Make a tune of quarter notes; the body is line 4."""
    return parse_tune(f"M:{meter}\nL:1/4\nK:{key}\n{body}\n")


def with_wrong_duration(tune: Tune, rng: np.random.Generator) -> Tune:
    """Make one note half or one and a half times as long, or double it: the bar is wrong."""
    elements = list(tune.elements)
    bare = [
        i
        for i, element in enumerate(elements)
        if isinstance(element, Note) and not element.tie and _is_plain(elements, i)
    ]
    at = int(rng.choice(bare or [i for i, e in enumerate(elements) if isinstance(e, Note)]))
    note = elements[at]
    assert isinstance(note, Note)
    factor = [Fraction(1, 2), Fraction(3, 2), Fraction(2)][int(rng.integers(3))]
    elements[at] = replace(note, length=note.length * factor)
    return replace(tune, elements=tuple(elements))


def ornamented(tune: Tune, rng: np.random.Generator, *, turns: int) -> Tune:
    """Put grace notes before a third of the notes; break some into note, upper neighbour, note."""
    notes = [i for i, element in enumerate(tune.elements) if isinstance(element, Note)]
    turned = {int(i) for i in rng.choice(notes, turns, replace=False)}
    elements: list[Element] = []
    for i, element in enumerate(tune.elements):
        if isinstance(element, Note) and i in turned:
            half = replace(element, length=element.length / 2)
            quarter = replace(element, length=element.length / 4)
            elements += [half, replace(quarter, step=element.step + 1), quarter]
        elif isinstance(element, Note) and rng.random() < 1 / 3:
            elements += [GraceNotes((replace(element, step=element.step + 1),)), element]
        else:
            elements.append(element)
    return replace(tune, elements=tuple(elements))


def first_part(tune: Tune) -> Tune:
    """Take the elements up to the first closing repeat mark."""
    closes = (isinstance(element, BarLine) and element.closes for element in tune.elements)
    end = next(i for i, is_end in enumerate(closes) if is_end) + 1
    return replace(tune, elements=tune.elements[:end])


def _is_plain(elements: list[Element], i: int) -> bool:
    """Whether no sign before or after it changes how long it is."""
    around = [*elements[max(0, i - 1) : i], *elements[i + 1 : i + 2]]
    return not any(type(element).__name__ in ("BrokenRhythm", "Tuplet") for element in around)
