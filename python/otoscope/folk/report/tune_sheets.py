"""The page of tunes: sheet music, sound, and what the checks found, a section a tune."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.folk.metrics import TuneCheck
from otoscope.records import replacing, to_json, versions
from otoscope.report.pages import in_script, render
from otoscope.report.sounds import data_uri
from otoscope.signal import encode_audio

__all__ = ["Sheet", "save_sheets"]

_VIEW_BOX = re.compile(r'viewBox="0 0 (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)"')


@dataclass(frozen=True, eq=False)
class Sheet:
    """A tune to be shown.

    Parameters
    ----------
    check : TuneCheck
        Its name and what was found; any text, it is escaped.
    svg : str, optional
        Sheet music; None if the tune could not be read or drawn.
    y : ndarray [sample], optional
        Its sound, between -1 and 1.
    sr : int
        Samples a second.

    Examples
    --------
    >>> Sheet(check, engrave(tune), play_tune(tune))  # doctest: +SKIP
    """

    check: TuneCheck
    svg: str | None = None
    y: NDArray[np.float32] | None = None
    sr: int = 22050


@dataclass(frozen=True)
class _Section:
    """A tune of the page."""

    key: int
    check: TuneCheck
    about: str
    picture: str
    size: tuple[str, str]
    sound: str


def save_sheets(
    sheets: Sequence[Sheet],
    path: str | os.PathLike[str],
    *,
    title: str = "Tunes",
    notes: Sequence[str] = (),
) -> None:
    """Write the page: one HTML file, with pictures and sounds, that needs no network.

    Parameters
    ----------
    sheets : sequence of Sheet
        In the order of the page.
    path : str or PathLike
        Ends in .html by custom. Written whole or not at all.
    title : str
        Any text; it is escaped.
    notes : sequence of str
        What a reader must know.

    Raises
    ------
    ParameterError
        If ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_sheets([Sheet(check_tune(tune))], "tunes.html")  # doctest: +SKIP
    """
    checks = [sheet.check for sheet in sheets]
    with replacing(Path(path)) as draft:
        content = {
            "title": title,
            "about": f"{len(sheets):,} tune{'s' * (len(sheets) != 1)}",
            "sentence": _sentence(checks),
            "cautions": list(notes),
            "sections": [_section(i, sheet) for i, sheet in enumerate(sheets, start=1)],
            "json": in_script(
                to_json({"tunes": [one.to_dict() for one in checks], "versions": versions()})
            ),
        }
        draft.write_text(render("tune_sheets.html", content), "utf-8")


def _sentence(checks: Sequence[TuneCheck]) -> str:
    valid = sum(check.is_valid for check in checks)
    if len(checks) == 1:
        return "Its bars add up." if valid else "Something is wrong with its bars."
    count = f"{valid:,}" if valid else "none"
    return f"Of {len(checks):,} tunes, {count} can be read and have bars that add up."


def _section(key: int, sheet: Sheet) -> _Section:
    size = _VIEW_BOX.search(sheet.svg or "")
    picture = data_uri("image/svg+xml", sheet.svg.encode()) if sheet.svg and size else ""
    sound = ""
    if sheet.y is not None and len(sheet.y):
        encoded = encode_audio(torch.from_numpy(sheet.y), sr=sheet.sr, format="OGG")
        sound = data_uri("audio/ogg", encoded)
    width_height = (size[1], size[2]) if size else ("1", "1")
    return _Section(key, sheet.check, _about(sheet.check), picture, width_height, sound)


def _about(check: TuneCheck) -> str:
    facts = check.facts
    if facts is None:
        return "cannot be read"
    bars = f"{len(facts.measures)} measures"
    return " · ".join(filter(None, [facts.meter, facts.key, facts.form, bars]))
