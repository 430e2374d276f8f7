"""Render tunes: sheet music, MIDI and sound of each, and a page with all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from otoscope.documents import document
from otoscope.errors import ParameterError, require_extra
from otoscope.folk.abc import NotationError, Tune, to_abc, to_midi
from otoscope.folk.metrics import check_tune
from otoscope.folk.report.sheet import engrave
from otoscope.folk.report.sound import play_tune
from otoscope.folk.report.tune_sheets import RenderedTune, compressed, save_sheets
from otoscope.folk.workflows.book_tunes import BookTune, left_out_notes, read_book_tunes
from otoscope.progress import Progress, silent, tracked
from otoscope.records import new_folder, write_text

__all__ = ["RenderFolkConfig", "RenderFolkResult", "render_folk"]

_SR = 22050


@dataclass(frozen=True)
class RenderFolkConfig:
    """Tunes to render, and their sound.

    Parameters
    ----------
    source : str
        File of ABC or of tokens, folder of ABC files, collection, or prepared folder.
    sound : {"ours", "fluidsynth"}
        Instrument. ours: a plucked string; fluidsynth: a sampled piano.
    n : int
        Largest number of tunes, from the first; at least 1.
    tempo_bpm : float, optional
        Tempo of all tunes in quarter notes per minute; default: the tempo of each tune, else 120.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    source: str
    sound: str = "ours"
    n: int = 16
    tempo_bpm: float | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.sound not in ("ours", "fluidsynth") or self.n < 1:
            raise ParameterError(
                f"sound is {self.sound!r} and n {self.n}; need ours or fluidsynth, and at least 1"
            )


@dataclass(frozen=True)
class RenderFolkResult:
    """Page of rendered tunes.

    Parameters
    ----------
    page : Path
        HTML file with sheet music and sound of all tunes.
    n_source, n_rendered : int
        Number of tunes in the source, and number of tunes on the page.
    unreadable : tuple of str
        Name and reason of the tunes on the page that could not be read.
    left_out : tuple of str
        Note on tunes of which voices were left out.
    """

    page: Path
    n_source: int
    n_rendered: int
    unreadable: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Tunes and voices that were not rendered."""
        extent = _extent(self.n_rendered, self.n_source)
        return (*extent, *(f"Not rendered: {tune}" for tune in self.unreadable), *self.left_out)

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.RenderFolk",
            2,
            {
                "page": self.page,
                "tunes": self.n_source,
                "rendered": self.n_rendered,
                "unreadable": self.unreadable,
                "notes": self.notes,
            },
        )


def render_folk(
    settings: RenderFolkConfig, folder: Path, *, progress: Progress = silent
) -> RenderFolkResult:
    """Write SVG, MIDI, OGG and ABC of each tune, and ``index.html``, whole or not at all."""
    require_extra("verovio", "folk")
    tunes = read_book_tunes(settings.source, strict=settings.strict)
    shown = tunes[: settings.n]
    errors = tuple(
        f"{tune.title}: {tune.tune}" for tune in shown if isinstance(tune.tune, NotationError)
    )
    if len(errors) == len(shown):
        first = f"; the first: {errors[0]}" if errors else ""
        raise ParameterError(f"{settings.source} has no tune that can be read{first}")
    left_out = left_out_notes(shown)
    result = RenderFolkResult(folder / "index.html", len(tunes), len(shown), errors, left_out)
    with new_folder(folder) as draft:
        rendered = [_render(tune, settings, draft) for tune in tracked(progress, shown, "tunes")]
        save_sheets(
            rendered,
            draft / "index.html",
            title=Path(settings.source).name,
            notes=(*_extent(len(shown), len(tunes)), *left_out),
        )
    return result


def _extent(n_rendered: int, n_source: int) -> tuple[str, ...]:
    if n_rendered == n_source:
        return ()
    return (f"The first {n_rendered:,} of {n_source:,} tunes.",)


def _render(tune: BookTune, settings: RenderFolkConfig, folder: Path) -> RenderedTune:
    check = check_tune(tune.tune, name=tune.title)
    if not isinstance(tune.tune, Tune):
        return RenderedTune(check)
    name = f"{tune.number:03}-{tune.file_name}".rstrip("-")
    svg = engrave(tune.tune)
    sound = cast(Literal["ours", "fluidsynth"], settings.sound)
    try:
        y = play_tune(tune.tune, sr=_SR, sound=sound, tempo_bpm=settings.tempo_bpm)
    except ParameterError as err:
        raise err.within(tune.name) from err
    write_text(folder / f"{name}.svg", svg)
    (folder / f"{name}.mid").write_bytes(to_midi(tune.tune, settings.tempo_bpm))
    (folder / f"{name}.ogg").write_bytes(compressed(y, _SR))
    write_text(folder / f"{name}.abc", to_abc(tune.tune, tune.number))
    narrow = engrave(tune.tune, narrow=True)
    return RenderedTune(
        check,
        svg,
        y,
        _SR,
        narrow=narrow,
        tune=tune.tune,
        tempo_bpm=settings.tempo_bpm,
        file_name=name,
    )
