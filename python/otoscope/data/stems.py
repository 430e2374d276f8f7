"""Songs as stem files, by their roles: voice, and all that accompanies it.

Nothing is downloaded; `load_stems` takes a folder with one folder per song, as ccMixter's and
MUSDB's stems lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.audio.files import read_audio, resampled

__all__ = ["MIX_NAMES", "VOICE_NAMES", "StemSong", "load_stems"]

VOICE_NAMES = ("vocals", "vocal", "voice", "source-02")
"""Names, without suffix, of the stem that is the voice: MUSDB's, common ones, ccMixter's."""
MIX_NAMES = ("mixture", "mix")
"""Names of files that are the sum of the others, and left out."""

_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".au")


@dataclass(frozen=True)
class StemSong:
    """Files of a song's stems.

    Parameters
    ----------
    name : str
        Name of the song's folder.
    voice : Path
        Stem of the voice.
    backing : tuple of Path
        All other stems.

    Examples
    --------
    >>> StemSong("a", Path("a/vocals.wav"), (Path("a/drums.wav"),)).name
    'a'
    """

    name: str
    voice: Path
    backing: tuple[Path, ...]

    def read(self, *, sr: int | None = None) -> tuple[Tensor, Tensor, float]:
        """Read the stems as mono.

        Parameters
        ----------
        sr : int, optional
            Sample rate of the result in Hz. Default: the files' rate.

        Returns
        -------
        voice, backing : Tensor [sample], float32
            Stem of the voice, and the sum of the others.
        sr : float
            Sample rate in Hz.

        Raises
        ------
        ParameterError
            If the stems have different lengths or sample rates, or one cannot be read.

        Examples
        --------
        >>> load_stems("musdb")[0].read(sr=22050)  # doctest: +SKIP
        """
        files = (self.voice, *self.backing)
        stems = [read_audio(path) for path in files]
        for what, values in (
            ("Hz", [f"{rate:g}" for _, rate in stems]),
            ("samples", [str(len(y)) for y, _ in stems]),
        ):
            if len({*values}) > 1:
                listed = ", ".join(
                    f"{path.name} {value}" for path, value in zip(files, values, strict=True)
                )
                raise ParameterError(
                    f"the stems of {self.voice.parent} differ in {what}: {listed}; "
                    "they must begin and end together, at one rate"
                )
        file_sr = stems[0][1]
        voice, backing = stems[0][0], torch.stack([y for y, _ in stems[1:]]).sum(0)
        if sr is None:
            return voice, backing, file_sr
        return resampled(voice, file_sr, sr), resampled(backing, file_sr, sr), sr


def load_stems(folder: str | Path) -> tuple[StemSong, ...]:
    """Find the stems of songs by the names of their files.

    Parameters
    ----------
    folder : str or Path
        Folder that holds, at any depth, a folder per song with a stem named as in
        :data:`VOICE_NAMES` and one or more others; those of :data:`MIX_NAMES` are left out.

    Returns
    -------
    tuple of StemSong
        Songs, sorted by their folders.

    Raises
    ------
    ParameterError
        If no song is found, or one has several voices or nothing besides its voice. The message
        says what was looked for.

    Examples
    --------
    >>> len(load_stems("musdb/test"))  # doctest: +SKIP
    50
    """
    folder = Path(folder)
    sounds: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            sounds.setdefault(path.parent, []).append(path)
    songs = []
    for place, paths in sounds.items():
        voices = [path for path in paths if path.stem.lower() in VOICE_NAMES]
        others = [path for path in paths if path.stem.lower() not in (*VOICE_NAMES, *MIX_NAMES)]
        if not voices:
            continue
        if len(voices) > 1 or not others:
            raise ParameterError(
                f"{place} has {len(voices)} voices ({', '.join(path.name for path in voices)}) and "
                f"{len(others)} other stems; must be one of {', '.join(VOICE_NAMES)} and at least "
                "one other"
            )
        songs.append(StemSong(place.name, voices[0], tuple(others)))
    if not songs:
        raise ParameterError(
            f"{folder} holds no folder of a song with a stem {', '.join(VOICE_NAMES)} "
            f"({', '.join(_SUFFIXES)})"
        )
    return tuple(songs)
