"""Sound files: any rate, channels and sample format in; mono float32 at the rate asked for out."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.records import replacing

__all__ = ["FORMATS", "encode_audio", "mono", "read_audio", "write_audio"]

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}

_BLOCK = 1 << 16


def read_audio(path: str | PathLike[str], *, sr: float | None = None) -> tuple[Tensor, float]:
    """Read a sound file as mono.

    Parameters
    ----------
    path : str or PathLike
        What libsndfile reads: wav, flac, ogg, mp3, aiff, au, ...
    sr : float, optional
        Samples a second of the result; by default the file's own.

    Returns
    -------
    y : Tensor [sample]
        float32, the mean of the channels, about -1 to 1.
    sr : float
        Samples a second.

    Raises
    ------
    ParameterError
        If the file is missing, empty, no sound file, or holds no or not finite samples.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.wav"
    >>> write_audio(path, torch.zeros(2, 8000), sr=8000)
    >>> y, sr = read_audio(path, sr=16000)
    >>> y.shape, sr
    (torch.Size([16000]), 16000)
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    if path.stat().st_size == 0:
        raise ParameterError(f"{path} is empty (0 bytes)")
    try:
        samples, file_sr = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as err:  # TypeError: raw samples
        reason = str(err).removeprefix(f"Error opening {str(path)!r}: ").rstrip(".")
        raise ParameterError(
            f"{path} cannot be read as sound ({reason}); "
            "wav, flac, ogg and mp3 can: convert others with ffmpeg"
        ) from err
    try:
        return mono(samples.T, file_sr, sr=sr)
    except ParameterError as err:
        raise ParameterError(f"{path}: {err}") from err


def mono(y: Any, file_sr: float, *, sr: float | None = None) -> tuple[Tensor, float]:
    """Mix channels down and resample.

    Parameters
    ----------
    y : Tensor or array [sample] or [channel, sample]
        Floating.
    file_sr : float
        Samples a second of ``y``.
    sr : float, optional
        Samples a second of the result; by default ``file_sr``.

    Returns
    -------
    y : Tensor [sample]
        float32, the mean of the channels, resampled by soxr (high quality).
    sr : float
        Samples a second.

    Raises
    ------
    ParameterError
        If there are no samples, not finite ones, integers, or more channels than samples.

    Examples
    --------
    >>> mono(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), 8000)
    (tensor([0.5000, 1.0000]), 8000)
    """
    y = torch.as_tensor(y).detach().cpu()
    if y.numel() == 0:
        raise ParameterError("there are no samples")
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
    for name, rate in (("file_sr", file_sr), ("sr", sr)):
        if rate is not None and not rate > 0:
            raise ParameterError(f"{name} is {rate}, must be > 0")
    mixed = y.float() if y.ndim == 1 else y.float().mean(0)
    if sr is None or sr == file_sr:
        return mixed, file_sr
    import librosa

    resampled = librosa.resample(mixed.numpy(), orig_sr=file_sr, target_sr=sr, res_type="soxr_hq")
    return torch.from_numpy(resampled), sr


def encode_audio(y: Tensor, *, sr: float, format: str = "WAV", subtype: str | None = None) -> bytes:
    """Encode sound as the content of a file.

    Parameters
    ----------
    y : Tensor [sample] or [channel, sample]
        Between -1 and 1, unless ``subtype`` is "FLOAT" or "DOUBLE".
    sr : float
        Samples a second, a whole number.
    format : {"WAV", "FLAC", "OGG"}
        Container.
    subtype : str, optional
        Sample format as libsndfile names it: "PCM_16", "PCM_24", "FLOAT", "VORBIS"; default:
        the container's own.

    Returns
    -------
    bytes
        The file's content.

    Raises
    ------
    ParameterError
        If a sample is not finite or would clip, or the format cannot hold the subtype.

    Examples
    --------
    >>> encode_audio(torch.zeros(10), sr=8000)[:4]
    b'RIFF'
    """
    import soundfile

    y = y.detach().cpu()
    peak = float(y.abs().max()) if y.numel() else 0.0
    if not peak < float("inf"):
        raise ParameterError("y holds samples that are NaN or infinite")
    if peak > 1 and subtype not in ("FLOAT", "DOUBLE"):
        raise ParameterError(
            f"y peaks at {peak:.3f} and would clip; scale it to 1 or use subtype='FLOAT'"
        )
    if sr != int(sr):
        raise ParameterError(f"sr is {sr}; files hold whole rates only")
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
        # In blocks: libsndfile's Vorbis encoder overruns its stack on long ones.
        for block in frames.split(_BLOCK):
            file.write(block.numpy())
    return buffer.getvalue()


def write_audio(
    path: str | PathLike[str], y: Tensor, *, sr: float, subtype: str | None = None
) -> None:
    """Write a sound file whole: temporary name, then rename.

    Parameters
    ----------
    path : str or PathLike
        Ends in .wav, .flac or .ogg.
    y : Tensor [sample] or [channel, sample]
        Between -1 and 1, unless ``subtype`` is "FLOAT" or "DOUBLE".
    sr : float
        Samples a second, a whole number.
    subtype : str, optional
        Sample format; see `encode_audio`.

    Raises
    ------
    ParameterError
        If the name's ending is unknown, or the sound would clip.
    OSError
        If the folder is missing or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> write_audio(Path(tempfile.mkdtemp()) / "silence.flac", torch.zeros(100), sr=8000)
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ParameterError(f"{path} ends in {suffix!r}, must end in one of {', '.join(FORMATS)}")
    content = encode_audio(y, sr=sr, format=FORMATS[suffix], subtype=subtype)
    with replacing(Path(path)) as draft:
        draft.write_bytes(content)
