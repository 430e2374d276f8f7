"""Sound files block by block: mono, at the rate asked for, in memory that no length fills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Blocks"]

_SECONDS = 30.0


class Blocks:
    """The blocks of a sound file.

    Parameters
    ----------
    path : str or Path
        What libsndfile reads: wav, flac, ogg, mp3, aiff, au, ...
    sr : float
        Samples a second of the blocks.

    Raises
    ------
    ParameterError
        If the file is missing or no sound file; while iterating, if it breaks off or holds
        samples that are not finite.

    Notes
    -----
    Joined they are what `read_audio` reads, to rounding.

    Examples
    --------
    >>> import tempfile
    >>> from otoscope.signal import write_audio
    >>> path = Path(tempfile.mkdtemp()) / "a.wav"
    >>> write_audio(path, torch.zeros(2, 8000), sr=8000)
    >>> sum(len(block) for block in Blocks(path, sr=16000))
    16000
    """

    def __init__(self, path: str | Path, *, sr: float) -> None:
        self.path, self.sr = Path(path), sr
        with self._open() as file:
            self.file_sr: int = file.samplerate
            """Samples a second in the file."""

    def __iter__(self) -> Iterator[Tensor]:
        """Tensor [sample], float32, one after the other; none is empty."""
        with self._open() as file:
            resampled = self._resampler()
            rest = file.frames
            while rest > 0:
                samples = self._read(file)
                rest -= len(samples)
                if not len(samples):  # the header promises more than there is
                    rest = 0
                block = torch.from_numpy(resampled(samples.mean(1), rest <= 0))
                if len(block):
                    yield block

    def _open(self) -> Any:
        import soundfile

        if not self.path.is_file():
            raise ParameterError(f"{self.path} is not there")
        if self.path.stat().st_size == 0:
            raise ParameterError(f"{self.path} is empty (0 bytes)")
        try:
            return soundfile.SoundFile(self.path)
        except (soundfile.SoundFileError, TypeError) as err:  # TypeError: raw samples
            raise self._unreadable(err) from err

    def _read(self, file: Any) -> Any:
        import soundfile

        try:
            samples = file.read(round(_SECONDS * self.file_sr), dtype="float32", always_2d=True)
        except soundfile.SoundFileError as err:
            raise self._unreadable(err) from err
        bad = int((~torch.from_numpy(samples).isfinite()).sum())
        if bad:
            raise ParameterError(f"{self.path}: {bad} samples are NaN or infinite")
        return samples

    def _unreadable(self, err: Exception) -> ParameterError:
        reason = str(err).removeprefix(f"Error opening {str(self.path)!r}: ").rstrip(".")
        return ParameterError(
            f"{self.path} cannot be read as sound ({reason}); "
            "wav, flac, ogg and mp3 can: convert others with ffmpeg"
        )

    def _resampler(self) -> Any:
        if self.file_sr == self.sr:
            return lambda samples, last: samples
        import soxr

        return soxr.ResampleStream(self.file_sr, self.sr, 1, quality="HQ").resample_chunk
