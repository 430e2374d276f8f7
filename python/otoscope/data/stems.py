"""Songs that are there as stems, mixed: a folder a song, as in fretsonfire-songs-* of Debian."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from otoscope.signal import read_audio

__all__ = ["DEBIAN_SONGS", "mixed_songs"]

DEBIAN_SONGS = Path("/usr/share/games/fretsonfire/data/songs")
"""Where Debian's fretsonfire-songs-* put real productions: a folder a song, two stems each."""


def mixed_songs(folder: Path, *, sr: float) -> Iterator[tuple[str, Tensor]]:
    """Read and mix the songs below a folder, one after the other.

    Parameters
    ----------
    folder : Path
        Each folder in it that holds ``.ogg`` files is a song, and they are its stems.
    sr : float
        Samples a second of the mixes.

    Yields
    ------
    tuple of str and Tensor [sample]
        The folder's name, and the sum of the stems as far as all last, its peak at 0.9; in the
        order of the paths. Nothing if there is no such folder.

    Examples
    --------
    >>> list(mixed_songs(Path("no songs here"), sr=16000))
    []
    """
    for song in sorted({stem.parent for stem in folder.rglob("*.ogg")}):
        stems = [read_audio(stem, sr=sr)[0] for stem in sorted(song.glob("*.ogg"))]
        length = min(map(len, stems))
        y = torch.stack([stem[:length] for stem in stems]).sum(0)
        peak = float(y.abs().max()) or 1.0  # silence stays silence
        yield song.name, y * (0.9 / peak)
