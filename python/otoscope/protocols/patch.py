"""Excerpt of sound in the input domain of a model, with its waveform."""

from __future__ import annotations

import math
import warnings
from copy import copy
from dataclasses import InitVar, dataclass

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.ops.library import require_samples, require_tensor
from otoscope.protocols.layout import (
    TransposedPicture,
    looks_transposed,
    parse_layout,
    square_looks_transposed,
)
from otoscope.signal.listen import listen
from otoscope.signal.mel.domain import Domain

__all__ = ["Patch", "as_samples", "as_tensor"]


@dataclass(frozen=True, eq=False, repr=False)
class Patch:
    """An excerpt in the input domain of a model, with its waveform.

    Parameters
    ----------
    values : Tensor or array [frame, mel]
        Finite values of a floating type, in the model's input domain; arrays are copied.
    y : Tensor or array [sample], optional
        Waveform of the excerpt, kept as float32 on the CPU; requires ``sr``.
    sr : float, optional
        Sampling rate of ``y`` in Hz.
    hop_length : int, optional
        Samples from one frame to the next.
    mel_hz : Tensor or array [mel], optional
        Centre frequencies of the bands in Hz, increasing.
    start : float
        Time of the first sample in the recording, in seconds.
    domain : Domain, optional
        Relation of ``values`` to log-mel and to energies: mean, std, compression, floor.
    layout : str, optional
        Axes of the ``values`` given, such as "mel frame" or "sample"; they are kept as
        [frame, mel], and samples as [sample, 1].

    Raises
    ------
    ParameterError
        If an array has another shape or is not finite, its axes are those of a transposed picture,
        or ``y`` comes without ``sr``.

    Warns
    -----
    TransposedPicture
        If nothing names the axes, and the sizes are rather those of [mel, frame].

    Examples
    --------
    >>> import torch
    >>> Patch(torch.zeros(115, 80), sr=22050, hop_length=315).duration
    1.6428571428571428
    """

    values: Tensor
    y: Tensor | None = None
    sr: float | None = None
    hop_length: int | None = None
    mel_hz: Tensor | None = None
    start: float = 0.0
    domain: Domain | None = None
    layout: InitVar[str | None] = None

    def __post_init__(self, layout: str | None) -> None:
        values = as_tensor("values", self.values).clone()  # the caller may write into its own
        if layout is not None:
            values = _arranged(values, layout)
        if not values.is_floating_point() and not values.is_complex():  # an image, a piano roll
            values = values.to(torch.get_default_dtype())
        if values.ndim != 2 or values.numel() == 0 or values.is_complex():
            raise ParameterError(
                f"values has shape {tuple(values.shape)} and dtype {values.dtype}; "
                "a patch is [frame, mel], not empty, real"
            )
        _check_finite("values", values)
        object.__setattr__(self, "values", values)
        if self.sr is not None and not (math.isfinite(self.sr) and self.sr > 0):
            raise ParameterError(f"sr is {self.sr}, must be a sampling rate in Hz, > 0")
        if self.hop_length is not None and self.hop_length < 1:
            raise ParameterError(f"hop_length is {self.hop_length}, must be samples, >= 1")
        if not math.isfinite(self.start):
            raise ParameterError(f"start is {self.start}, must be finite seconds")
        if self.y is not None:
            object.__setattr__(self, "y", self._sound())
        if self.mel_hz is not None:
            object.__setattr__(self, "mel_hz", self._centres())
        if self.domain is not None and len(self.domain.mean) != values.shape[1]:
            raise ParameterError(
                f"domain has {len(self.domain.mean)} bands, values {values.shape[1]}",
                advice=self._if_transposed(len(self.domain.mean)),
            )
        self._check_axes(is_named=layout is not None)

    @property
    def duration(self) -> float | None:
        """Duration of the frames in seconds; None if ``sr`` or ``hop_length`` is unknown."""
        if self.sr is None or self.hop_length is None:
            return None
        return self.values.shape[0] * self.hop_length / self.sr

    def __repr__(self) -> str:
        """Describe the excerpt in one line."""
        frames, bands = self.values.shape
        text = f"{frames} frames, {bands} bands"
        if self.sr is not None:
            text += f", {self.sr:,g} Hz"
        if self.duration is not None:
            text += f", {self.start:.2f}-{self.start + self.duration:.2f} s"
        return f"Patch({text})"

    def listen(self, gain: Tensor) -> Tensor:
        """Synthesise the sound of selected cells, with the phase of the original.

        Parameters
        ----------
        gain : Tensor [frame, mel]
            Linear gain of each cell, or a mask (True stays). If the gain is the same in all bands,
            the waveform is cut in time with fades of 5 ms; otherwise it is filtered.

        Returns
        -------
        Tensor [sample]
            Waveform as long as ``y``.

        Raises
        ------
        ParameterError
            If the patch has no sound, or ``gain`` differs in shape from ``values``.

        Examples
        --------
        >>> import torch
        >>> patch = Patch(
        ...     torch.zeros(4, 2), y=torch.ones(400), sr=8000, hop_length=100,
        ...     mel_hz=torch.tensor([100.0, 900.0]),
        ... )
        >>> patch.listen(torch.zeros(4, 2, dtype=torch.bool)).sum()
        tensor(0.)
        """
        if self.y is None or self.sr is None or self.hop_length is None or self.mel_hz is None:
            raise ParameterError("the patch has no sound; give it y, sr, hop_length and mel_hz")
        if gain.shape != self.values.shape:
            raise ParameterError(
                f"gain has shape {tuple(gain.shape)}, values {tuple(self.values.shape)}"
            )
        return listen(
            self.y, gain.cpu(), sr=self.sr, hop_length=self.hop_length, mel_hz=self.mel_hz
        )

    def copied(self) -> Patch:
        """Return the same patch with values and sound of its own, for code that may write there.

        Returns
        -------
        Patch
            Equal patch.

        Examples
        --------
        >>> import torch
        >>> patch = Patch(torch.zeros(4, 2))
        >>> patch.copied().values.add_(1)[0], patch.values[0]
        (tensor([1., 1.]), tensor([0., 0.]))
        """
        other = copy(self)
        object.__setattr__(other, "values", self.values.clone())
        if self.y is not None:
            object.__setattr__(other, "y", self.y.clone())
        return other

    def _check_axes(self, *, is_named: bool) -> None:
        """Notice a picture [mel, frame], by its sound or by its sizes."""
        frames, bands = self.values.shape
        if self.y is not None and self.hop_length is not None:
            lengths = frames * self.hop_length, bands * self.hop_length
            if lengths[1] == len(self.y) != lengths[0]:
                raise ParameterError(
                    f"values has shape {(frames, bands)}, y {len(self.y)} samples: as many as "
                    f"{bands} frames of {self.hop_length}",
                    advice=_TRANSPOSED,
                )
        is_named = is_named or self.mel_hz is not None or self.domain is not None
        if is_named:
            return
        is_square = square_looks_transposed(self.values)
        if is_square or looks_transposed(frames, bands):
            seen = " (it is smoother along its second axis, as along time)" if is_square else ""
            warnings.warn(
                f"a picture of {frames} frames and {bands} bands looks transposed{seen}; "
                f"{_TRANSPOSED}, "
                "otherwise layout='frame mel' (of SoundLIME: layout='b 1 mel frame')",
                TransposedPicture,
                stacklevel=4,
            )

    def _if_transposed(self, n_bands: int) -> Advice | None:
        return _TRANSPOSED if n_bands == self.values.shape[0] else None

    def _sound(self) -> Tensor:
        y = as_samples("y", self.y).detach().to("cpu", torch.float32, copy=True)
        if y.ndim != 1:
            raise ParameterError(f"y has shape {tuple(y.shape)}, must be [sample], mono")
        if self.sr is None:
            raise ParameterError("y came without sr; a sound needs its sampling rate")
        _check_finite("y", y)
        return y

    def _centres(self) -> Tensor:
        mel_hz = as_tensor("mel_hz", self.mel_hz).detach().to("cpu", torch.float32, copy=True)
        if mel_hz.shape != self.values.shape[1:]:
            raise ParameterError(
                f"mel_hz has shape {tuple(mel_hz.shape)}, values has {self.values.shape[1]} bands",
                advice=self._if_transposed(mel_hz.numel()),
            )
        if not bool((mel_hz.diff() > 0).all()) or not bool(mel_hz.isfinite().all()):
            raise ParameterError("mel_hz must be finite and rise from band to band")
        return mel_hz


_TRANSPOSED = Advice("if its axes are [mel, frame], say ", Argument("layout", "mel frame"))


def _arranged(values: Tensor, layout: str) -> Tensor:
    """Bring values in a layout, with or without a batch axis, to [frame, mel]."""
    has_batch = {"b", "batch"} & set(layout.replace(",", " ").split())
    axes = parse_layout(layout if has_batch else f"b {layout}")
    picture, is_batch = axes.pictures(values, "values")
    if is_batch and len(picture) != 1:
        raise ParameterError(
            f"values has shape {tuple(values.shape)}, {len(picture)} pictures in layout "
            f"{layout!r}; a patch is one"
        )
    return picture[0]


def as_tensor(name: str, values: object) -> Tensor:
    """Convert an array or a sequence of numbers, in any order of bytes and axes, to a Tensor.

    Parameters
    ----------
    name : str
        Name of the values in messages.
    values : Tensor, array or sequence of numbers
        Values; memory is shared where torch can.

    Returns
    -------
    Tensor
        The same numbers.

    Raises
    ------
    ParameterError
        If the values are not numbers.

    Examples
    --------
    >>> as_tensor("values", np.arange(3)[::-1])
    tensor([2, 1, 0])
    """
    if isinstance(values, Tensor):
        require_tensor(name, values)
        return values
    if np.ma.is_masked(values):
        raise ParameterError(f"{name} has masked values, which would count: fill them first")
    try:
        array = np.asarray(values)
        if not array.dtype.isnative or any(step < 0 for step in array.strides):
            array = array.astype(array.dtype.newbyteorder("="), order="C")
        return torch.as_tensor(array)
    except (TypeError, ValueError, RuntimeError) as err:
        raise ParameterError(
            f"{name} is {type(values).__name__}, must be a Tensor or an array of numbers: {err}"
        ) from err


def as_samples(name: str, values: object) -> Tensor:
    """Convert samples of a sound as `as_tensor` does; refuse integers, which need a scale."""
    y = as_tensor(name, values)
    require_samples(name, y)
    return y


def _check_finite(name: str, values: Tensor) -> None:
    bad = int((~values.isfinite()).sum())
    if bad:
        raise ParameterError(f"{name}: {bad} of {values.numel()} numbers are NaN or infinite")
