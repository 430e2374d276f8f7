"""Songs whose sung intervals are annotated: our corpora, and Jamendo's singing-voice dataset.

Nothing is downloaded; the loaders take the folder of a dataset.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from otoscope import records
from otoscope.data.synthesis.song import SungInterval
from otoscope.errors import ParameterError
from otoscope.foreign import read_text

__all__ = ["JAMENDO_SPLITS", "AnnotatedSong", "load_annotated", "load_jamendo", "load_sung"]

JAMENDO_SPLITS = ("train", "valid", "test")
"""Names of the file lists of Jamendo's dataset."""


@dataclass(frozen=True)
class AnnotatedSong:
    """Sound file with its sung intervals.

    Parameters
    ----------
    name : str
        Name in reports.
    path : Path
        Sound file.
    sung : tuple of (start, end)
        Sung intervals in seconds, ascending.

    Examples
    --------
    >>> AnnotatedSong("a", Path("a.ogg"), ((0.5, 2.0),)).sung
    ((0.5, 2.0),)
    """

    name: str
    path: Path
    sung: tuple[SungInterval, ...]


def load_annotated(folder: str | Path, split: str = "test") -> tuple[AnnotatedSong, ...]:
    """Load a corpus of ``otoscope corpus singing``, or a split of Jamendo's dataset.

    Parameters
    ----------
    folder : str or Path
        Folder with ``manifest.jsonl``, or with ``audio``, ``filelists`` and ``labels``.
    split : {"train", "valid", "test"}
        Split of Jamendo's dataset; a corpus has none.

    Returns
    -------
    tuple of AnnotatedSong
        Songs in the order of the manifest or of the file list.

    Raises
    ------
    ParameterError
        If the folder is neither, or a file of it is missing or unreadable.

    Examples
    --------
    >>> len(load_annotated("corpus"))  # doctest: +SKIP
    40
    """
    folder = Path(folder)
    if (folder / "manifest.jsonl").is_file():
        return load_sung(folder)
    if (folder / "filelists").is_dir():
        return load_jamendo(folder, split)
    raise ParameterError(
        f"{folder} holds neither manifest.jsonl (otoscope corpus singing) nor filelists, audio and "
        "labels (Jamendo's dataset)"
    )


def load_sung(folder: str | Path) -> tuple[AnnotatedSong, ...]:
    """Load the mixes of a corpus of ``otoscope corpus singing``.

    Parameters
    ----------
    folder : str or Path
        Folder with ``manifest.jsonl``.

    Returns
    -------
    tuple of AnnotatedSong
        Songs in the order of the manifest.

    Raises
    ------
    ParameterError
        If there is no manifest, no song, or a record without mix and sung intervals.

    Examples
    --------
    >>> load_sung("corpus")[0].name  # doctest: +SKIP
    'song-0000'
    """
    folder = Path(folder)
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        raise ParameterError(
            f"{folder} has no manifest.jsonl; name a folder of 'otoscope corpus singing'"
        )
    songs = []
    for record in records.stream(manifest):
        files, sung = record.get("files"), record.get("sung")
        if not isinstance(files, dict) or "mix" not in files or not isinstance(sung, list):
            raise ParameterError(f"{manifest}: {record.get('key')} has no mix and sung intervals")
        intervals = tuple((float(start), float(end)) for start, end in sung)
        songs.append(AnnotatedSong(str(record["key"]), folder / str(files["mix"]), intervals))
    if not songs:
        raise ParameterError(f"{manifest} has no songs")
    return tuple(songs)


def load_jamendo(folder: str | Path, split: str) -> tuple[AnnotatedSong, ...]:
    """Load a split of Jamendo's singing-voice dataset (Ramona et al., 2008).

    Parameters
    ----------
    folder : str or Path
        Folder with ``filelists/<split>`` (one sound file per line), ``audio/<file>`` and
        ``labels/<file without suffix>.lab`` (lines ``start end sing`` or ``start end nosing``).
    split : {"train", "valid", "test"}
        Split.

    Returns
    -------
    tuple of AnnotatedSong
        Songs in the order of the file list.

    Raises
    ------
    ParameterError
        If the list, a sound or a label file is missing, or a line is no annotation; names the
        places that were tried.

    References
    ----------
    Ramona, Richard and David (2008) :cite:`ramona2008`.

    Examples
    --------
    >>> len(load_jamendo("jamendo", "test"))  # doctest: +SKIP
    16
    """
    folder = Path(folder)
    if split not in JAMENDO_SPLITS:
        raise ParameterError(f"split is {split!r}, must be one of {', '.join(JAMENDO_SPLITS)}")
    listing = folder / "filelists" / split
    if not listing.is_file():
        raise ParameterError(
            f"{listing} is not there; Jamendo's folder holds audio, labels and filelists/"
            f"{{{','.join(JAMENDO_SPLITS)}}}"
        )
    files = [line.strip() for line in read_text(listing).splitlines() if line.strip()]
    if not files:
        raise ParameterError(f"{listing} lists no file")
    places = {file: folder / "audio" / file for file in files}
    labels = {file: folder / "labels" / f"{Path(file).stem}.lab" for file in files}
    missing = [str(path) for path in (*places.values(), *labels.values()) if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        raise ParameterError(f"{listing} lists what is not there: {', '.join(missing[:20])}{more}")
    return tuple(
        AnnotatedSong(Path(file).stem, places[file], _read_labels(labels[file])) for file in files
    )


def _read_labels(path: Path) -> tuple[SungInterval, ...]:
    """Read the sung intervals of lines "start end sing" and "start end nosing"."""
    sung, last = [], 0.0
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            start_text, end_text, label = line.split()
            start, end = float(start_text), float(end_text)
        except ValueError:
            start = end = math.nan
            label = ""
        if not last <= start <= end < math.inf or label not in ("sing", "nosing"):
            raise ParameterError(
                f"{path}, line {number}: {line.strip()!r} is no 'start end sing' or 'start end "
                "nosing' with ascending seconds"
            )
        last = start
        if label == "sing":
            sung.append((start, end))
    return tuple(sung)
