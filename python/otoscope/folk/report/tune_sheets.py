"""The page of tunes: sheet music, sound and violated rules, one section per tune."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray

from otoscope.documents import document
from otoscope.folk.metrics import TuneCheck
from otoscope.records import to_json, versions
from otoscope.report.pages import in_script, save_page
from otoscope.report.sounds import data_uri
from otoscope.signal import encode_audio

__all__ = ["RenderedTune", "save_sheets"]

_VIEW_BOX = re.compile(r'viewBox="0 0 (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)"')


@dataclass(frozen=True, eq=False)
class RenderedTune:
    """Checks, sheet music and sound of a tune.

    Parameters
    ----------
    check : TuneCheck
        Name and violations; any text, it is escaped.
    svg : str, optional
        Sheet music; None if the tune could not be read or drawn.
    y : ndarray [sample], optional
        Sound of the tune, in [-1, 1].
    sr : int
        Sampling rate in Hz.
    remarks : tuple of (str, str), optional
        What to say of the tune, in place of the violations: what it is about, and the text.
    """

    check: TuneCheck
    svg: str | None = None
    y: NDArray[np.float32] | None = None
    sr: int = 22050
    remarks: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class _Section:
    """A tune of the page; picture and sound are data URIs, or ""."""

    key: int
    title: str
    about: str
    violations: tuple[tuple[str, str], ...]
    picture: str
    aspect_ratio: str
    sound: str


@dataclass(frozen=True)
class _SheetsPage:
    """The page, ready to be printed."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    sections: list[_Section]
    json: Markup


def save_sheets(
    tunes: Sequence[RenderedTune],
    path: str | os.PathLike[str],
    *,
    title: str = "Tunes",
    sentence: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Write the page: one HTML file that needs no network, whole or not at all."""
    checks = [tune.check for tune in tunes]
    record = {"tunes": [check.to_dict() for check in checks], "versions": versions()}
    page = _SheetsPage(
        title=title,
        about=f"{len(tunes):,} tune{'s' * (len(tunes) != 1)}",
        sentence=sentence or _sentence(checks),
        cautions=list(notes),
        sections=[_section(i, tune) for i, tune in enumerate(tunes, start=1)],
        json=in_script(to_json(document("otoscope.TuneChecks", 2, record))),
    )
    save_page(page, "tune_sheets.html", path, package="otoscope.folk.report")


def _sentence(checks: Sequence[TuneCheck]) -> str:
    valid = sum(check.is_valid for check in checks)
    if len(checks) == 1:
        return "Its bars add up." if valid else "Something is wrong with its bars."
    count = f"{valid:,}" if valid else "none"
    return f"Of {len(checks):,} tunes, {count} can be read and have bars that add up."


def _section(key: int, tune: RenderedTune) -> _Section:
    size = _VIEW_BOX.search(tune.svg or "")
    sound = ""
    if tune.y is not None and len(tune.y):
        encoded = encode_audio(torch.from_numpy(tune.y), sr=tune.sr, format="OGG")
        sound = data_uri("audio/ogg", encoded)
    return _Section(
        key,
        tune.check.name,
        _about(tune.check),
        tune.remarks
        or tuple((violation.rule, str(violation)) for violation in tune.check.violations),
        data_uri("image/svg+xml", tune.svg.encode()) if tune.svg and size else "",
        f"{size[1]} / {size[2]}" if size else "1 / 1",
        sound,
    )


def _about(check: TuneCheck) -> str:
    features = check.features
    if features is None:
        return "cannot be read"
    measures = f"{len(features.measures)} measures"
    return " · ".join(filter(None, [features.meter, features.key, features.form, measures]))
