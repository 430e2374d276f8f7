"""Render tunes: sheet music, MIDI and sound of each, and a page with all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch

from otoscope.errors import ParameterError, require_extra
from otoscope.folk.abc import NotationError, Tune, to_midi
from otoscope.folk.data import new_folder
from otoscope.folk.data.playing import play_tune
from otoscope.folk.metrics import check_tune
from otoscope.folk.report.sheet import engrave
from otoscope.folk.report.tune_sheets import Sheet, save_sheets
from otoscope.folk.workflows._tune_books import Entry, read_entries
from otoscope.progress import Progress
from otoscope.signal import write_audio

__all__ = ["RenderFolk", "RenderedFolk", "render_folk"]

_SR = 22050


@dataclass(frozen=True)
class RenderFolk:
    """What to render, and how.

    Parameters
    ----------
    source : str
        A file of ABC or of tokens, a folder of ABC files, a collection, or a prepared folder.
    sound : {"ours", "fluidsynth"}
        A plucked string of our own, or a sampled piano.
    n : int
        Tunes at most, from the first; at least 1.
    tempo_bpm : float, optional
        Quarter notes a minute; default: each tune's own, else 120.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    Examples
    --------
    >>> RenderFolk("a.abc", n=3).sound
    'ours'
    """

    source: str
    sound: str = "ours"
    n: int = 16
    tempo_bpm: float | None = None

    def __post_init__(self) -> None:
        """Check at the door."""
        if self.sound not in ("ours", "fluidsynth") or self.n < 1:
            raise ParameterError(
                f"sound is {self.sound!r} and n {self.n}; need ours or fluidsynth, and at least 1"
            )


@dataclass(frozen=True)
class RenderedFolk:
    """What was written.

    Parameters
    ----------
    page : Path
        Sheet music and sound of all tunes.
    n_found, n_rendered : int
        Tunes in the source, and those on the page.
    unreadable : tuple of str
        Those on the page that could not be read: name and reason.

    Examples
    --------
    >>> render_folk(RenderFolk("a.abc"), Path("tunes")).n_rendered  # doctest: +SKIP
    16
    """

    page: Path
    n_found: int
    n_rendered: int
    unreadable: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known."""
        return tuple(self._notes())

    def to_dict(self) -> dict[str, Any]:
        """Give it in JSON's types."""
        return {
            "page": str(self.page),
            "found": self.n_found,
            "rendered": self.n_rendered,
            "unreadable": list(self.unreadable),
        }

    def _notes(self) -> Iterator[str]:
        if self.n_rendered < self.n_found:
            yield f"The first {self.n_rendered:,} of {self.n_found:,} tunes."
        yield from (f"Not rendered: {one}" for one in self.unreadable)


def render_folk(
    settings: RenderFolk, folder: Path, *, progress: Progress | None = None
) -> RenderedFolk:
    """Write SVG, MIDI and WAV of each tune, and ``index.html``, whole or not at all.

    Parameters
    ----------
    settings : RenderFolk
        What to render.
    folder : Path
        New, or empty.
    progress : callable, optional
        Goes over the "tunes".

    Returns
    -------
    RenderedFolk
        Files are named by number and title: ``003-acacia-reel.svg``.

    Raises
    ------
    ParameterError
        If a file is missing, empty or not text, no tune of it can be read, or the folder is not
        empty.
    MissingExtra
        If verovio, or fluidsynth where it is asked for, is not installed.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> render_folk(RenderFolk("a.abc"), Path("tunes")).page  # doctest: +SKIP
    PosixPath('tunes/index.html')
    """
    progress = progress or (lambda items, _: items)
    require_extra("verovio", "folk")
    entries = read_entries(settings.source)
    shown = entries[: settings.n]
    errors = [
        f"{entry.title}: {entry.tune}" for entry in shown if isinstance(entry.tune, NotationError)
    ]
    if len(errors) == len(shown):
        first = f"; the first: {errors[0]}" if errors else ""
        raise ParameterError(f"{settings.source} has no tune that can be read{first}")
    with new_folder(folder) as draft:
        sheets = [_sheet(entry, settings, draft) for entry in progress(shown, "tunes")]
        rendered = RenderedFolk(
            folder / "index.html",
            len(entries),
            len(shown),
            tuple(errors),
        )
        title = Path(settings.source).name
        save_sheets(
            sheets, draft / "index.html", title=title, notes=rendered.notes[: -len(errors) or None]
        )
    return rendered


def _sheet(entry: Entry, settings: RenderFolk, folder: Path) -> Sheet:
    check = check_tune(entry.tune, name=entry.title)
    if not isinstance(entry.tune, Tune):
        return Sheet(check)
    name = f"{entry.number:03}-{_plain(entry.title)}".rstrip("-")
    svg = engrave(entry.tune)
    sound = cast(Literal["ours", "fluidsynth"], settings.sound)
    y = play_tune(entry.tune, sr=_SR, sound=sound, tempo_bpm=settings.tempo_bpm)
    (folder / f"{name}.svg").write_text(svg, "utf-8")
    (folder / f"{name}.mid").write_bytes(to_midi(entry.tune, settings.tempo_bpm))
    write_audio(folder / f"{name}.wav", torch.from_numpy(y), sr=_SR)
    return Sheet(check, svg, y, _SR)


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].rstrip("-")
