"""The page of tunes: sheet music, sound and violated rules, one section per tune."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray

from otoscope.documents import document
from otoscope.folk.abc import Tune, to_abc, to_midi
from otoscope.folk.metrics import TuneCheck
from otoscope.folk.report.sheet import in_page
from otoscope.folk.report.sound import event_onsets
from otoscope.records import to_json, versions
from otoscope.report.methods.bibliography import methods
from otoscope.report.pages import in_script, save_page
from otoscope.report.sounds import data_uri
from otoscope.signal import encode_audio

__all__ = ["RenderedTune", "compressed", "save_sheets"]


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
    narrow : str, optional
        Sheet music in short lines, for phones.
    tune : Tune, optional
        The tune, to be shown as ABC and downloaded.
    tempo_bpm : float, optional
        Tempo of the MIDI file; that of the tune by default.
    file_name : str
        Name of downloaded files, without ending.
    """

    check: TuneCheck
    svg: str | None = None
    y: NDArray[np.float32] | None = None
    sr: int = 22050
    remarks: tuple[tuple[str, str], ...] | None = None
    narrow: str | None = None
    tune: Tune | None = None
    tempo_bpm: float | None = None
    file_name: str = ""


@dataclass(frozen=True)
class _Section:
    """A tune of the page; sound and MIDI are data URIs, or ""."""

    key: int
    title: str
    about: str
    violations: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[str, Markup], ...]  # class, SVG
    sound: str
    events: str  # what sounds from when: number of an event or -1, milliseconds
    abc: str
    abc_file: str
    midi: str
    file_name: str


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
    made = methods(
        f"{len(tunes):,} tunes were read as ABC and checked, bar by bar, by the rules of the "
        "notation, as generated tunes were looked at [@sturm2016folkrnn]."
    )
    save_page(page, "tune_sheets.html", path, package="otoscope.folk.report", methods=made)


def _sentence(checks: Sequence[TuneCheck]) -> str:
    valid = sum(check.is_valid for check in checks)
    if len(checks) == 1:
        return "Its bars add up." if valid else "Something is wrong with its bars."
    count = f"{valid:,}" if valid else "none"
    return f"Of {len(checks):,} tunes, {count} can be read and have bars that add up."


def _section(key: int, tune: RenderedTune) -> _Section:
    sound = events = ""
    if tune.y is not None and len(tune.y):
        sound = data_uri("audio/ogg", compressed(tune.y, tune.sr))
        onsets = event_onsets(tune.tune, tempo_bpm=tune.tempo_bpm) if tune.tune else []
        events = " ".join(f"{event} {1000 * onset:.0f}" for event, onset in onsets)
    drawn = [("wide", tune.svg), ("narrow", tune.narrow)] if tune.narrow else [("", tune.svg)]
    abc = to_abc(tune.tune) if tune.tune else ""
    return _Section(
        key,
        tune.check.name,
        _about(tune.check),
        tune.remarks
        or tuple((violation.rule, str(violation)) for violation in tune.check.violations),
        tuple((name, Markup(in_page(svg, f"{key}{name[:1]}"))) for name, svg in drawn if svg),
        sound,
        events,
        abc,
        data_uri("text/vnd.abc", abc.encode()) if abc else "",
        data_uri("audio/midi", to_midi(tune.tune, tune.tempo_bpm)) if tune.tune else "",
        tune.file_name or f"tune-{key}",
    )


def compressed(y: NDArray[np.float32], sr: int) -> bytes:
    """Encode the sound of a tune as OGG, a tenth of a WAV file."""
    return encode_audio(torch.from_numpy(y), sr=sr, format="OGG")


def _about(check: TuneCheck) -> str:
    features = check.features
    if features is None:
        return "cannot be read"
    measures = f"{len(features.measures)} measures"
    return " · ".join(filter(None, [features.meter, features.key, features.form, measures]))
