"""Sections of a tune as played: whether it has a form, whatever its repeats are written like."""

from __future__ import annotations

from fractions import Fraction

from otoscope.folk.abc import Form, Tune
from otoscope.folk.abc.elements import Chord, Note

__all__ = ["has_form"]

_Bar = tuple[tuple[Fraction, int], ...]


def has_form(tune: Tune, form: Form) -> bool:
    """Return whether a tune, played out, has a form.

    Parameters
    ----------
    tune : Tune
        Tune as written.
    form : Form
        Letters and numbers of bars.

    Returns
    -------
    bool
        Whether the tune has as many bars, sections of one letter have the same onsets and pitches
        except in the last quarter of their bars (at least one), and sections of different letters
        differ before it.

    Notes
    -----
    A short first measure is a pickup and no bar. Two short measures in a row that make up one bar
    are one: the end of a section and the pickup of the next. Ties are ignored.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune = parse_tune("M:2/4\\nL:1/4\\nK:C\\n|:C|DE|F:|:G|AB|c:|")
    >>> has_form(tune, Form.parse("AABB:2")), has_form(tune, Form.parse("ABAB:2"))
    (True, False)
    """
    bars = _bars(tune)
    if len(bars) != sum(n for _, n in form.sections):
        return False
    heads: dict[str, tuple[_Bar, ...]] = {}
    at = 0
    for (letter, n), section in zip(form.sections, form.as_sections, strict=True):
        head = tuple(bars[at : at + n - section.ending])
        if heads.setdefault(letter, head) != head:
            return False
        at += n
    return len(set(heads.values())) == len(heads)


def _bars(tune: Tune) -> list[_Bar]:
    """Return onset in the bar and pitch of the notes of each bar that is played, ties ignored."""
    spans: list[tuple[Fraction, Fraction]] = []  # onset, length
    played = tune.unfolded
    missing = Fraction(0)  # what the next measure must last to complete a bar
    for index, measure in enumerate(played.measures):
        full, end = measure.meter.length or measure.duration, measure.onset + measure.duration
        if missing and measure.duration == missing:
            spans[-1] = spans[-1][0], end
            missing = Fraction(0)
        elif index or measure.duration >= full:
            spans.append((measure.onset, end))
            missing = max(full - measure.duration, Fraction(0))
    bars: list[_Bar] = []
    struck = [timed for timed in played.timed_elements if isinstance(timed[0], Note | Chord)]
    at = 0
    for begin, end in spans:
        inside = []
        while at < len(struck) and struck[at].onset < end:
            element, onset = struck[at].element, struck[at].onset
            notes = element.notes if isinstance(element, Chord) else (element,)
            if onset >= begin:
                pitches = sorted(n.pitch for n in notes if isinstance(n, Note))
                inside += [(onset - begin, pitch) for pitch in pitches]
            at += 1
        bars.append(tuple(inside))
    return bars
