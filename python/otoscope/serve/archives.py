"""Archives of sounds from elsewhere: checked by their lists first, then unpacked under our names.

What an archive says of itself is bounded before anything is unpacked, and bytes are counted while
they are written, so that neither a bomb nor a lie about sizes fills memory or disk. Folders of an
archive are classes: labels in a table, and no folders on disk.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from otoscope.errors import ParameterError
from otoscope.foreign import refusing
from otoscope.records import new_folder
from otoscope.serve.uploads import Limits, megabytes, told_name
from otoscope.workflows.recording import SUFFIXES

__all__ = ["TABLE", "Member", "unpack"]

TABLE = "items.csv"
"""Table of the sounds beside them: file, label, and the name in the archive."""

_COLUMNS = ("file", "label", "name")
_END, _END_BYTES = b"PK\x05\x06", 22
_ZIP64 = b"PK\x06\x07"
_COMMENT = 1 << 16
_RATIO = 200  # an archive may unpack to this many times its size: silence in WAV compresses as far
_ENTRIES = 5000
_ENTRY_BYTES = 600  # of the list, for each entry
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_READ = 1 << 20


@dataclass(frozen=True)
class Member:
    """A sound of an archive: its file, its folder in the archive, its name there as a text."""

    file: Path
    label: str
    name: str


def unpack(path: Path, folder: Path, limits: Limits, *, name: str) -> list[Member]:
    """Unpack the sounds of an archive, unless that was done before.

    Parameters
    ----------
    path : Path
        The archive.
    folder : Path
        Folder to make.
    limits : Limits
        Limits of the sounds.
    name : str
        Name of the archive in errors.

    Returns
    -------
    list of Member
        Sounds, in the order of their names.

    Raises
    ------
    ParameterError
        If it is no archive, or one with too many or too large files, or without sounds.
    """
    if not folder.exists():
        with new_folder(folder) as draft:
            _unpack(path, draft, limits, name)
    with (folder / TABLE).open(encoding="utf-8", newline="") as table:
        return [Member(folder / r["file"], r["label"], r["name"]) for r in csv.DictReader(table)]


def _unpack(path: Path, draft: Path, limits: Limits, name: str) -> None:
    _require_short_list(path, name)
    with refusing(name, "cannot be read as a zip"), zipfile.ZipFile(path) as archive:
        sounds = _sounds(archive.infolist(), path.stat().st_size, limits, name)
        labels = _labels([PurePosixPath(info.filename).parts for info in sounds])
        room = limits.unpacked_bytes
        with (draft / TABLE).open("x", encoding="utf-8", newline="") as table:
            rows = csv.writer(table)
            rows.writerow(_COLUMNS)
            for i, (info, label) in enumerate(zip(sounds, labels, strict=True)):
                suffix = PurePosixPath(info.filename).suffix.lower()
                file = draft / f"{path.stem}-{i:04}{suffix}"
                room -= _write(archive, info, file, room, name)
                told = told_name(info.filename)
                rows.writerow([file.name, label, f"{label}: {told}" if label else told])


def _require_short_list(path: Path, name: str) -> None:
    """Refuse an archive whose list of entries is long, before zipfile reads all of it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _COMMENT - 2 * _END_BYTES))
        end = file.read()
    place = end.rfind(_END)
    if place < 0 or len(end) - place < _END_BYTES:
        raise ParameterError(f"{name} is no zip, or ends too early")
    if _ZIP64 in end[max(0, place - 20) : place]:
        raise ParameterError(f"{name} is a zip of the form ZIP64, which is for more than 4 GB")
    n_entries = int.from_bytes(end[place + 10 : place + 12], "little")
    n_bytes = int.from_bytes(end[place + 12 : place + 16], "little")
    if n_entries > _ENTRIES or n_bytes > _ENTRIES * _ENTRY_BYTES:
        raise ParameterError(f"{name} lists {n_entries:,} files; at most {_ENTRIES:,} are read")


def _sounds(
    entries: Sequence[zipfile.ZipInfo], size: int, limits: Limits, name: str
) -> list[zipfile.ZipInfo]:
    """Choose the sounds of an archive, and refuse too many, too large or strange ones."""
    sounds = [info for info in entries if _is_sound(PurePosixPath(info.filename))]
    if not sounds:
        raise ParameterError(f"{name} holds no sound files ({', '.join(sorted(SUFFIXES))})")
    if len(sounds) > limits.files:
        raise ParameterError(f"{name} holds {len(sounds):,} sounds; at most {limits.files} fit")
    n_bytes = sum(info.file_size for info in sounds)
    if n_bytes > limits.unpacked_bytes or n_bytes > _RATIO * size:
        raise ParameterError(
            f"{name} unpacks to {megabytes(n_bytes)}, from {megabytes(size)}; at most "
            f"{megabytes(limits.unpacked_bytes)}, and {_RATIO} times its size, are unpacked"
        )
    for info in sounds:
        if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
            raise ParameterError(
                f"{name} is encrypted, or compressed by another method than deflate"
            )
    return sorted(sounds, key=lambda info: info.filename)


def _is_sound(place: PurePosixPath) -> bool:
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in place.parts)
    return place.suffix.lower() in SUFFIXES and not is_hidden


def _labels(places: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the folder of each sound, below the folder that all share; "" without one."""
    while all(len(parts) > 2 and parts[0] == places[0][0] for parts in places):
        places = [parts[1:] for parts in places]
    return [told_name(parts[0]) if len(parts) > 1 else "" for parts in places]


def _write(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path, room: int, name: str
) -> int:
    """Write a member, counting its bytes; return their number."""
    n_bytes = 0
    with archive.open(info) as member, file.open("xb") as written:
        while piece := member.read(_READ):
            n_bytes += len(piece)
            if n_bytes > min(room, info.file_size):
                raise ParameterError(f"{name} unpacks to more than it says")
            written.write(piece)
    return n_bytes
