"""Convert tunes between ABC, MusicXML and MIDI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune, to_abc, to_midi
from otoscope.folk.interchange import to_musicxml, unambiguous
from otoscope.folk.workflows.book_tunes import BookTune, left_out_notes, read_book_tunes
from otoscope.progress import Progress, silent, tracked
from otoscope.records import new_folder

__all__ = ["ConvertFolkConfig", "ConvertFolkResult", "convert_folk"]


def _abc(tune: Tune) -> bytes:
    return to_abc(unambiguous(tune)).encode()


_WRITERS: dict[str, tuple[str, Callable[[Tune], bytes]]] = {
    "abc": ("abc", _abc),
    "musicxml": ("musicxml", to_musicxml),
    "midi": ("mid", to_midi),
}


@dataclass(frozen=True)
class ConvertFolkConfig:
    """Tunes to convert, and into what.

    Parameters
    ----------
    source : str
        File of ABC, MusicXML, MIDI or tokens, folder of such files, collection, or prepared folder.
    to : {"musicxml", "midi", "abc"}
        Format. musicxml: notation programs open it; midi: repeats are played out; abc: accidentals
        and repeats are written so that all programs read them alike.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    source: str
    to: str = "musicxml"
    strict: bool = False

    def __post_init__(self) -> None:
        if self.to not in _WRITERS:
            raise ParameterError(f"to is {self.to!r}, needs to be one of {', '.join(_WRITERS)}")


@dataclass(frozen=True)
class ConvertFolkResult:
    """Files that were written.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    files : tuple of str
        Name of each file, one for each tune.
    rejected : tuple of str
        Name and reason of each tune that could not be read or written.
    left_out : tuple of str
        Note on tunes of which voices were left out, and on keys that were estimated.
    """

    folder: Path
    files: tuple[str, ...]
    rejected: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Number of files, and where they are."""
        count = "one tune" if len(self.files) == 1 else f"{len(self.files):,} tunes"
        return f"Wrote {count} to {self.folder}."

    @property
    def notes(self) -> tuple[str, ...]:
        """Tunes and voices that were not converted."""
        return (*(f"Not converted: {tune}" for tune in self.rejected), *self.left_out)

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        values = {"folder": self.folder, "files": self.files, "notes": self.notes}
        return document("otoscope.ConvertFolk", 1, values)


def convert_folk(
    settings: ConvertFolkConfig, folder: Path, *, progress: Progress = silent
) -> ConvertFolkResult:
    """Write each tune as a file of its own, all of them or none.

    Parameters
    ----------
    settings : ConvertFolkConfig
        Source and format.
    folder : Path
        Folder that does not exist or is empty.
    progress : Progress
        Called with the tunes that are done.

    Returns
    -------
    ConvertFolkResult
        Names of the files, and what was left out.

    Raises
    ------
    ParameterError
        If there is no such source, or no tune can be converted.
    """
    tunes = read_book_tunes(settings.source, strict=settings.strict)
    suffix, write = _WRITERS[settings.to]
    files: list[str] = []
    rejected: list[str] = []
    with new_folder(folder) as draft:
        for tune in tracked(progress, tunes, "tunes"):
            content = _converted(tune, write)
            if isinstance(content, ParameterError):
                rejected.append(f"{tune.name}: {content}")
                continue
            files.append(f"{len(files) + 1:03}-{tune.file_name}".rstrip("-") + f".{suffix}")
            (draft / files[-1]).write_bytes(content)
        if not files:
            first = f"; the first: {rejected[0]}" if rejected else ""
            raise ParameterError(f"{settings.source} has no tune that can be converted{first}")
    return ConvertFolkResult(folder, tuple(files), tuple(rejected), left_out_notes(tunes))


def _converted(tune: BookTune, write: Callable[[Tune], bytes]) -> bytes | ParameterError:
    try:
        return write(tune.tune) if isinstance(tune.tune, Tune) else tune.tune
    except ParameterError as err:
        return err
