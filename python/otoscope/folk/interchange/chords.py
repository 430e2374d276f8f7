"""Chord symbols of ABC ("Am7/G") and their kinds in MusicXML."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

__all__ = ["chord_symbol", "harmony"]

_SYMBOL = re.compile(
    r'"(?P<root>[A-G])(?P<alter>[#b]?)(?P<kind>[^/"<>^_@]*)(?:/(?P<bass>[A-G])(?P<sign>[#b]?))?"'
)
_KINDS = {
    "": "major",
    "m": "minor",
    "min": "minor",
    "7": "dominant",
    "maj7": "major-seventh",
    "m7": "minor-seventh",
    "6": "major-sixth",
    "m6": "minor-sixth",
    "9": "dominant-ninth",
    "dim": "diminished",
    "dim7": "diminished-seventh",
    "aug": "augmented",
    "+": "augmented",
    "sus2": "suspended-second",
    "sus4": "suspended-fourth",
    "sus": "suspended-fourth",
    "5": "power",
}


def harmony(text: str) -> ET.Element | None:
    """Write a chord symbol in quotation marks as MusicXML; None if the text is none.

    >>> harmony('"F#m7/E"').find("kind").text
    'minor-seventh'
    >>> harmony('"^slowly"') is harmony("!trill!") is None
    True
    """
    match = _SYMBOL.fullmatch(text)
    if match is None:
        return None
    xml = ET.Element("harmony")
    _pitch(xml, "root", match["root"], match["alter"])
    kind = ET.SubElement(xml, "kind", text=match["kind"])
    kind.text = _KINDS.get(match["kind"], "other")
    if match["bass"]:
        _pitch(xml, "bass", match["bass"], match["sign"])
    return xml


def chord_symbol(xml: ET.Element) -> str | None:
    """Read MusicXML's harmony as a chord symbol in quotation marks; None if it has no root.

    >>> chord_symbol(harmony('"Bb7/D"'))
    '"Bb7/D"'
    """
    root, bass = _letter(xml, "root"), _letter(xml, "bass")
    kind = xml.find("kind")
    if root is None or kind is None:
        return None
    names = {name: text for text, name in reversed(_KINDS.items())}
    text = kind.get("text") if kind.get("text") is not None else names.get(kind.text or "", "")
    text = re.sub(r'["\s\\]', "", text or "")
    return f'"{root}{text}{f"/{bass}" if bass else ""}"'


def _letter(xml: ET.Element, name: str) -> str | None:
    step = xml.findtext(f"{name}/{name}-step")
    alter = (xml.findtext(f"{name}/{name}-alter") or "0").strip()
    if step is None or step not in "ABCDEFG" or alter not in ("-1", "0", "1"):
        return None
    return step + {"-1": "b", "0": "", "1": "#"}[alter]


def _pitch(harmony: ET.Element, name: str, letter: str, sign: str) -> None:
    xml = ET.SubElement(harmony, name)
    ET.SubElement(xml, f"{name}-step").text = letter
    if sign:
        ET.SubElement(xml, f"{name}-alter").text = "1" if sign == "#" else "-1"
