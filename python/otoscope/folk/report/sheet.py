"""Sheet music: a tune engraved by verovio as one SVG.

verovio reads ABC but loses first and second endings, and a measure at each ``::``: tunes are
therefore written for it without these, and the endings are put into the MEI that it returns.

Notes, chords and rests are the events of a tune, numbered from 0 as written. In the SVG each has
its number as ``data-event``, so that a page can light it up or colour it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from xml.etree import ElementTree as ET

from otoscope.errors import ParameterError, require_extra
from otoscope.folk.abc import BarLine, Element, Mark, Measure, Tune, to_abc
from otoscope.folk.abc.elements import Chord, MeasureRest, Note, Rest

__all__ = ["EVENTS", "engrave", "in_page"]

EVENTS: Final = (Note, Chord, Rest, MeasureRest)
"""Elements of a tune that are events."""

_MEI: Final = "http://www.music-encoding.org/ns/mei"
_OPTIONS: Final = {
    "adjustPageHeight": True,
    "breaks": "auto",
    "footer": "none",
    "header": "none",
    "pageHeight": 60000,
    "pageMarginBottom": 30,
    "pageMarginLeft": 10,
    "pageMarginRight": 10,
    "pageMarginTop": 30,
    "pageWidth": 2000,
    "scale": 50,
    "svgViewBox": True,
    "xmlIdSeed": 1,  # the same tune, the same file
}
_NARROW: Final = 800
_SOUNDING: Final = {f"{{{_MEI}}}{name}" for name in ("note", "rest", "chord", "mRest", "space")}
_DRAWN_EVENTS: Final = _SOUNDING | {f"{{{_MEI}}}multiRest"}
_ID: Final = "{http://www.w3.org/XML/1998/namespace}id"
_EVENT_GROUP: Final = re.compile(r'<g id="([^"]*)" class="(?=note|chord|rest|mRest|multiRest)')
_GLYPH: Final = r"(E[0-9A-F]{3,4})-\w+"


def engrave(tune: Tune, *, narrow: bool = False) -> str:
    """Engrave a tune as sheet music; ``narrow`` breaks lines so that they fit a phone."""
    verovio: Any = require_extra("verovio", "folk")
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    options = {**_OPTIONS, "pageWidth": _NARROW} if narrow else _OPTIONS
    toolkit.setOptions({**options, "inputFrom": "abc"})
    if not toolkit.loadData(_abc(tune)):
        raise ParameterError(f"verovio cannot read {tune.title or 'the tune'!r} as it was written")
    score = toolkit.getMEI()
    mei = _with_endings(score, tune.measures)
    if mei is not None:
        toolkit.setOptions({**options, "inputFrom": "mei"})
        toolkit.loadData(mei)
    svg: str = toolkit.renderToSVG(1)
    events = {name: number for number, name in enumerate(_events(ET.fromstring(score)))}
    if len(events) != sum(isinstance(element, EVENTS) for element in tune.elements):
        return svg

    def number(match: re.Match[str]) -> str:
        event = events.get(match[1])
        return match[0] if event is None else f'<g data-event="{event}" class="'

    return _EVENT_GROUP.sub(number, svg)


def in_page(svg: str, name: str) -> str:
    """Return sheet music to stand within a page, beside others; ``name`` is unique there.

    It is as small as it can be, takes the page's colours, and its glyphs have names of its own.
    """
    svg = re.sub(r"<(desc|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(rf'xlink:href="#{_GLYPH}"', rf'href="#\1-{name}"', svg)
    svg = re.sub(rf' id="{_GLYPH}"', rf' name="\1-{name}"', svg)
    svg = re.sub(r' (?:id|xmlns:xlink|version|overflow|color)="[^"]*"', "", svg)
    svg = re.sub(rf' name="(E\w+-{name})"', r' id="\1"', svg)
    svg = re.sub(r"<g(?: class=\"[^\"]*\")? />", "", svg)
    return re.sub(r"\s*\n\s*", "", svg)


def _events(parent: ET.Element) -> Iterator[str]:
    """Yield the names of notes, chords and rests in the order of writing, without grace notes."""
    for child in parent:
        if child.tag in _DRAWN_EVENTS:
            if child.get("grace") is None:
                yield child.get(_ID, "")
        elif child.tag != f"{{{_MEI}}}graceGrp":
            yield from _events(child)


def _abc(tune: Tune) -> str:
    """Write ABC for verovio: without words and ``::``, the music in one line."""
    shown = tuple(drawn for element in tune.elements for drawn in _drawn(element))
    lines = to_abc(replace(tune, headers=(("T", ""),), elements=shown), 1).split("\n")
    music = next(i for i, line in enumerate(lines) if line.startswith("K:")) + 1
    return "\n".join([*lines[:music], " ".join(lines[music:])]) + "\n"


def _drawn(element: Element) -> Iterator[Element]:
    """Yield what verovio draws of an element; a repeat of three passes is drawn as a repeat."""
    if isinstance(element, BarLine) and any(element.repeats):
        if element.closes:
            yield replace(element, text=":|", ending="" if element.opens else element.ending)
        if element.opens:
            yield replace(element, text="|:")
    elif not (isinstance(element, Mark) and element.text.startswith('"')):
        yield element


def _with_endings(mei: str, measures: tuple[Measure, ...]) -> str | None:
    """Mark endings in MEI; return None without endings, or if the measures do not correspond."""
    spans = list(_endings(measures))
    ET.register_namespace("", _MEI)
    root = ET.fromstring(mei)
    section = root.find(f".//{{{_MEI}}}section")
    if section is None or not spans:
        return None
    drawn = [x for x in section if any(note.tag in _SOUNDING for note in x.iter())]
    if len(drawn) != len(measures):
        return None
    for text, first, last in spans:
        ending = ET.Element(f"{{{_MEI}}}ending", {"n": text})
        section.insert(list(section).index(drawn[first]), ending)
        for measure in drawn[first : last + 1]:
            section.remove(measure)
            ending.append(measure)
    return ET.tostring(root, "unicode")


def _endings(measures: tuple[Measure, ...]) -> Iterator[tuple[str, int, int]]:
    """Yield number, first and last measure of each ending that begins at a measure."""
    first, text = 0, ""
    for i, measure in enumerate(measures):
        if measure.left is not None and measure.left.ending:
            first, text = i, measure.left.ending
        right = measure.right or BarLine("|]")
        if text and (right.ending or right.opens or right.closes or right.is_heavy):
            yield text, first, i
            text = ""
