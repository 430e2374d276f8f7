"""Audio files: read any rate, channels and sample format as mono float32; write whole files."""

from __future__ import annotations

import io
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError, require_number
from otoscope.ops.library import require_samples, require_tensor
from otoscope.records import replacing
from otoscope.signal.audio.reader import SoundReader
from otoscope.signal.audio.truncation import warn_if_truncated
from otoscope.signal.stretch import resample

__all__ = [
    "FORMATS",
    "LONG",
    "Blocks",
    "SamplesOnDisk",
    "channels_of",
    "decode",
    "encode_audio",
    "mono",
    "read_audio",
    "read_beginning",
    "read_channels",
    "resampled",
    "samples",
    "write_audio",
]

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}

LONG = 600.0
"""Seconds beyond which a sound is kept on disk, and transformed in blocks."""

_BLOCK = 1 << 16  # samples written at once
_BLOCK_SECONDS = 30.0  # read at once
_LARGEST_RATIO = 64  # of the resulting rate to the file's: a header may claim 1 Hz
_SMALLEST_RATIO = 1 / 1024  # or 2 GHz


def read_audio(path: str | PathLike[str], *, sr: float | None = None) -> tuple[Tensor, float]:
    """Read an audio file as mono.

    Parameters
    ----------
    path : str or PathLike
        Audio file in a format of libsndfile: wav, flac, ogg, mp3, aiff, au, ...
    sr : float, optional
        Sample rate of the result, in Hz. Default: the file's rate.

    Returns
    -------
    y : Tensor [sample], float32
        Mean of the channels, values about -1 to 1.
    sr : float
        Sample rate of ``y``, in Hz.

    Raises
    ------
    ParameterError
        If the file is missing, empty or no audio file, or has no samples or samples that are not
        finite.

    Warns
    -----
    TruncatedSound
        If the file was cut off: its header tells more than is there, see `truncation`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.wav"
    >>> write_audio(path, torch.zeros(2, 8000), sr=8000)
    >>> y, sr = read_audio(path, sr=16000)
    >>> y.shape, sr
    (torch.Size([16000]), 16000)
    """
    result = decode(path, sr=sr)
    warn_if_truncated(path)
    return result


def decode(path: str | PathLike[str], *, sr: float | None = None) -> tuple[Tensor, float]:
    """Read an audio file as `read_audio` does, without its warning."""
    path = Path(path)
    with SoundReader(path) as reader:
        samples = _read_all(reader)
    try:
        return mono(samples.T, reader.sr, sr=sr)
    except ParameterError as err:
        raise ParameterError(f"{path}: {err}") from err


def read_beginning(path: str | PathLike[str], *, sr: float, seconds: float) -> Tensor:
    """Read the first ``seconds`` of a file in mono, [sample], without a warning."""
    n_samples, parts = round(seconds * sr), list[Tensor]()
    blocks = Blocks(path, sr=sr, warns=False)
    for block in blocks if blocks.seconds > LONG else [decode(path, sr=sr)[0]]:
        parts.append(block)
        if sum(map(len, parts)) >= n_samples:
            break
    return torch.cat(parts)[:n_samples]


def read_channels(path: str | PathLike[str]) -> tuple[Tensor, float]:
    """Read an audio file with its channels, [channel, sample], at its own rate; mono: [sample]."""
    with SoundReader(Path(path)) as reader:
        samples = torch.from_numpy(_read_all(reader).T)
    warn_if_truncated(path)
    return samples[0] if len(samples) == 1 else samples, reader.sr


class Blocks:
    """Mono blocks of an audio file at ``sr`` Hz: Tensor [sample], float32, in constant memory.

    The joined blocks equal the result of `read_audio` within rounding. Unreadable files are refused
    when the object is made; broken frames and samples that are not finite during iteration. A file
    that was cut off gives the warning of `read_audio`.
    """

    def __init__(self, path: str | PathLike[str], *, sr: float, warns: bool = True) -> None:
        self.path, self.sr = Path(path), sr
        with SoundReader(self.path) as reader:
            self.file_sr: int = reader.sr
            """Sample rate of the file, in Hz."""
            self.seconds: float = reader.n_frames / reader.sr
            """Duration of the file by its header, in seconds; inf if nothing tells it."""
        try:
            _check_rates(self.file_sr, sr)
        except ParameterError as err:
            raise err.within(self.path) from err
        if warns:
            warn_if_truncated(self.path)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the blocks in order; none is empty."""
        resample, is_last = self._resampler(), False
        with SoundReader(self.path) as reader:
            while not is_last:
                samples = reader.read(round(_BLOCK_SECONDS * self.file_sr))
                is_last = not len(samples)
                bad = int((~torch.from_numpy(samples).isfinite()).sum())
                if bad:
                    raise ParameterError(f"{self.path}: NaN or infinite samples: {bad:,}")
                block = torch.from_numpy(resample(samples.mean(1), is_last))
                if len(block):
                    yield block

    def _resampler(self) -> Any:
        if self.file_sr == self.sr:
            return lambda samples, last: samples
        import soxr

        return soxr.ResampleStream(self.file_sr, self.sr, 1, quality="HQ").resample_chunk


def samples(path: str | PathLike[str], *, sr: float) -> Tensor | SamplesOnDisk:
    """Read a sound in mono; one that is longer than ten minutes is kept on disk.

    Errors are those of `read_audio`, at once.
    """
    blocks = Blocks(Path(path), sr=sr)
    return SamplesOnDisk(blocks) if blocks.seconds > LONG else decode(path, sr=sr)[0]


class SamplesOnDisk:
    """Samples of a long sound in a temporary file; slices are read when they are needed."""

    def __init__(self, blocks: Iterable[Tensor]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)
        for block in blocks:
            self._file.write(block.numpy().tobytes())
        self._n = self._file.tell() // 4

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, part: slice) -> Tensor:
        first, end, _ = part.indices(self._n)
        if end <= first:
            return torch.zeros(0)
        self._file.seek(4 * first)
        return torch.frombuffer(bytearray(self._file.read(4 * (end - first))), dtype=torch.float32)


def mono(y: Any, file_sr: float, *, sr: float | None = None) -> tuple[Tensor, float]:
    """Mix channels to mono and resample.

    Parameters
    ----------
    y : Tensor or array [sample] or [channel, sample]
        Waveform, floating.
    file_sr : float
        Sample rate of ``y``, in Hz.
    sr : float, optional
        Sample rate of the result, in Hz. Default: ``file_sr``.

    Returns
    -------
    y : Tensor [sample], float32
        Mean of the channels, resampled with soxr (high quality).
    sr : float
        Sample rate of the result, in Hz.

    Raises
    ------
    ParameterError
        If ``y`` is empty, not floating, not finite, or has more channels than samples, or if ``sr``
        is more than 64 times or less than 1/1024 of ``file_sr``.

    Examples
    --------
    >>> mono(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), 8000)
    (tensor([0.5000, 1.0000]), 8000)
    """
    try:
        y = torch.as_tensor(y).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as err:
        raise ParameterError(f"y is {type(y).__name__}, must be a Tensor or array: {err}") from None
    require_tensor("y", y)
    if y.numel() == 0:
        raise ParameterError("there are no samples in y")
    require_samples("y", y)
    if y.ndim > 2 or y.ndim == 0 or not y.is_floating_point():
        raise ParameterError(
            f"y has shape {tuple(y.shape)} and dtype {y.dtype}; "
            "must be floating, [sample] or [channel, sample]"
        )
    if y.ndim == 2 and y.shape[0] > y.shape[1]:
        raise ParameterError(
            f"y has {y.shape[0]} channels of {y.shape[1]} samples; for [sample, channel] pass y.T"
        )
    bad = int((~y.isfinite()).sum())
    if bad:
        raise ParameterError(f"{bad} of {y.numel()} samples are NaN or infinite")
    _check_rates(file_sr, sr)
    mixed = y.float() if y.ndim == 1 else y.float().mean(0)
    if sr is None or sr == file_sr:
        return mixed, file_sr
    return resampled(mixed, file_sr, sr), sr


def resampled(y: Tensor, file_sr: float, sr: float) -> Tensor:
    """Resample a waveform [..., sample] from ``file_sr`` to ``sr`` Hz, with soxr (high quality)."""
    if sr == file_sr:
        return y
    _check_rates(file_sr, sr)
    return resample(y, orig_sr=file_sr, target_sr=sr)


def channels_of(y: Tensor) -> str:
    """Say how many channels a waveform [sample] or [channel, sample] has, for messages."""
    return "mono" if y.ndim == 1 else f"of {y.shape[0]} channels"


def encode_audio(
    y: Tensor,
    *,
    sr: float,
    format: str = "WAV",
    subtype: str | None = None,
    comment: str = "",
) -> bytes:
    """Encode a waveform as the content of an audio file.

    Parameters
    ----------
    y : Tensor [sample] or [channel, sample]
        Waveform, values in [-1, 1] unless ``subtype`` is "FLOAT" or "DOUBLE".
    sr : float
        Sample rate in Hz, a whole number.
    format : {"WAV", "FLAC", "OGG"}
        Container.
    subtype : str, optional
        Sample format by libsndfile's name: "PCM_16", "PCM_24", "FLOAT", "VORBIS". Default: the
        default of the container.
    comment : str
        Comment in the metadata.

    Returns
    -------
    bytes
        Content of the file.

    Raises
    ------
    ParameterError
        If a sample is not finite or would clip, or the container does not support the subtype.

    Examples
    --------
    >>> encode_audio(torch.zeros(10), sr=8000)[:4]
    b'RIFF'
    """
    import soundfile

    require_tensor("y", y)
    require_number("sr", sr)
    y = y.detach().cpu()
    peak = float(y.abs().max()) if y.numel() else 0.0
    if not peak < float("inf"):
        raise ParameterError("y holds samples that are NaN or infinite")
    if peak > 1 and subtype not in ("FLOAT", "DOUBLE"):
        raise ParameterError(
            f"y peaks at {peak:.3f} and would clip; scale it to 1 or use subtype='FLOAT'"
        )
    if not 1 <= sr < 2**31 or sr != int(sr):
        raise ParameterError(f"sr is {sr}; files hold whole rates of at least 1 Hz only")
    if format not in FORMATS.values() or not soundfile.check_format(format, subtype):
        raise ParameterError(
            f"format {format!r} with subtype {subtype!r} cannot be written; "
            f"formats are {', '.join(FORMATS.values())}"
        )
    frames = torch.atleast_2d(y.float()).T
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", int(sr), frames.shape[1], format=format, subtype=subtype
    ) as file:
        if comment:
            file.comment = comment
        # In blocks: libsndfile's Vorbis encoder overflows its stack on long inputs.
        for block in frames.split(_BLOCK):
            file.write(block.numpy())
    return buffer.getvalue()


def write_audio(
    path: str | PathLike[str],
    y: Tensor,
    *,
    sr: float,
    subtype: str | None = None,
    comment: str = "",
) -> None:
    """Write an audio file atomically, through a temporary name.

    Parameters
    ----------
    path : str or PathLike
        File name that ends in .wav, .flac or .ogg.
    y : Tensor [sample] or [channel, sample]
        Waveform, values in [-1, 1] unless ``subtype`` is "FLOAT" or "DOUBLE".
    sr : float
        Sample rate in Hz, a whole number.
    subtype : str, optional
        Sample format; see `encode_audio`.
    comment : str
        Comment in the file's metadata.

    Raises
    ------
    ParameterError
        If the suffix is unknown, or a sample is not finite or would clip.
    OSError
        If the folder is missing or not writable.

    Examples
    --------
    >>> import tempfile
    >>> write_audio(Path(tempfile.mkdtemp()) / "silence.flac", torch.zeros(100), sr=8000)
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ParameterError(f"{path} ends in {suffix!r}, must end in one of {', '.join(FORMATS)}")
    content = encode_audio(y, sr=sr, format=FORMATS[suffix], subtype=subtype, comment=comment)
    with replacing(Path(path)) as draft:
        draft.write_bytes(content)


def _read_all(reader: SoundReader) -> Any:
    """Read all samples [frame, channel], however many the header claims."""
    parts = [reader.read()]
    while len(parts[-1]):
        parts.append(reader.read())
    return parts[0] if len(parts) < 3 else np.concatenate(parts)


def _check_rates(file_sr: float, sr: float | None) -> None:
    for name, rate in (("file_sr", file_sr), ("sr", sr)):
        if rate is not None or name == "file_sr":
            require_number(name, rate)
        if rate is not None and not rate > 0:
            raise ParameterError(f"{name} is {rate}, must be > 0")
    if sr is not None and not _SMALLEST_RATIO <= sr / file_sr <= _LARGEST_RATIO:
        raise ParameterError(
            f"the sampling rate of the sound is {file_sr:g} Hz; to resample it to {sr:g} Hz it "
            f"must be {sr / _LARGEST_RATIO:g} to {sr / _SMALLEST_RATIO:g} Hz"
        )
