"""Front ends by others: any function of a sound that returns a spectrogram, as a front end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.errors import Advice, Argument, ParameterError, require_number
from otoscope.protocols import as_outputs, call_guarded, evaluating
from otoscope.protocols.patch import as_tensor
from otoscope.signal import PCEN, Compression, FrontEnd

__all__ = ["GivenFrontEnd", "complete_front_end"]

_TENSOR = Advice("it is given a Tensor: in front of librosa or NumPy take y.numpy()")
_HOPS = 8  # by which two sounds differ whose spectrograms are compared


class GivenFrontEnd(nn.Module):
    """Use any function of a sound [sample] as a front end.

    The function is called on two lengths of noise: the axis that grows with the sound is time, so
    that [frame, mel] and [mel, frame] are both right. A function whose spectrogram has a fixed size
    (a feature extractor that pads) serves excerpts of that size, each by itself.

    Parameters
    ----------
    transform : callable
        Function of a Tensor [sample], returning a Tensor or array of two axes (axes of size 1
        before them are dropped), or what `as_outputs` takes. An nn.Module moves with the model.
    sample_rate, hop_length : int
        Rate of the sounds in Hz, and samples from one frame to the next.
    n_samples : int
        Length of an excerpt in samples, or 0 if it is not known.
    mel_hz : Tensor [mel], optional
        Centre of each band in Hz.

    Raises
    ------
    ParameterError
        If the function fails, returns something else, or its frames are not ``hop_length`` apart.
    """

    def __init__(
        self,
        transform: Callable[[Tensor], Any],
        *,
        sample_rate: int | None,
        hop_length: int | None,
        n_samples: int = 0,
        mel_hz: object = None,
    ) -> None:
        super().__init__()
        if sample_rate is None or hop_length is None or sample_rate < 1 or hop_length < 1:
            raise ParameterError(
                f"sample_rate is {sample_rate}, hop_length {hop_length}; a front_end of your own "
                "needs both, >= 1"
            )
        self.transform, self.sample_rate, self.hop_length = transform, sample_rate, hop_length
        self.compression: Compression | PCEN | None = None
        self.first_sample = 0
        self.mel_hz = None if mel_hz is None else as_tensor("mel_hz", mel_hz).float().cpu()
        n = n_samples or sample_rate + _HOPS * hop_length
        more = n + _HOPS * hop_length
        noise = 0.01 * torch.randn(more, generator=torch.Generator().manual_seed(0))
        first, second = (tuple(self._raw(noise[:length]).shape) for length in (n, more))
        grown = [b - a for a, b in zip(first, second, strict=True)]
        self.is_fixed = grown == [0, 0]
        if self.is_fixed:
            self.frame_axis = self._frame_axis_of(first)
        elif sorted(grown) == [0, _HOPS]:
            self.frame_axis = grown.index(_HOPS)
        else:
            steps = max(grown)
            guess = f": its hop is about {_HOPS * hop_length / steps:.0f}" if steps > 0 else ""
            raise ParameterError(
                f"front_end returns {first} for {n} samples and {second} for {more}, which is not "
                f"one frame more per hop_length {hop_length}{guess}"
            )
        self.n_frames, self.n_mels = first[self.frame_axis], first[1 - self.frame_axis]
        self._lacking = n // hop_length - self.n_frames  # frames at the ends that there are not
        if self.mel_hz is not None and self.mel_hz.shape != (self.n_mels,):
            raise ParameterError(
                f"mel_hz has shape {tuple(self.mel_hz.shape)}, front_end returns {first}, of "
                f"which {self.n_mels} are bands"
            )
        self.differentiable = self._has_gradient(noise[:n])

    def forward(self, y: Tensor) -> Tensor:
        """Compute spectrograms [..., frame, mel] of sounds [..., sample]."""
        if y.ndim > 1:
            return torch.stack([self(sound) for sound in y])
        spectrogram = self._raw(y)
        return spectrogram.mT if self.frame_axis == 1 else spectrogram

    def log_mel(self, y: Tensor) -> Tensor:
        """Compute spectrograms [..., frame, mel] of sounds, as `forward`."""
        values: Tensor = self(y)
        return values

    def n_samples(self, n_frames: int) -> int:
        """Compute a number of samples that gives a number of frames."""
        lacking = 0 if self.is_fixed else self._lacking
        return max(1, (n_frames + lacking) * self.hop_length)

    def _raw(self, y: Tensor) -> Tensor:
        if not isinstance(self.transform, nn.Module):
            y = y.cpu()
        with evaluating(self.transform):
            try:
                answer = call_guarded(self.transform, y, name="front_end", axes="[sample]")
            except ParameterError as err:
                if err.__cause__ is None or err.advice is not None:
                    raise
                raise ParameterError(err.message, advice=_TENSOR) from err.__cause__
        spectrogram = as_outputs(answer)
        while isinstance(spectrogram, Tensor) and spectrogram.ndim > 2 and len(spectrogram) == 1:
            spectrogram = spectrogram[0]
        if not isinstance(spectrogram, Tensor) or spectrogram.ndim != 2:
            shape = f" of shape {tuple(spectrogram.shape)}" if hasattr(spectrogram, "shape") else ""
            raise ParameterError(
                f"front_end returned a {type(answer).__name__}{shape} for a sound [{len(y)}]; "
                "must return [frame, mel] or [mel, frame]"
            )
        return spectrogram.clone()  # a function may write the next into the same memory

    def _frame_axis_of(self, shape: tuple[int, ...]) -> int:
        """Return the axis of time of a spectrogram of a fixed size, by its number of bands."""
        if self.mel_hz is not None and (len(self.mel_hz) in shape) and shape[0] != shape[1]:
            return 1 - shape.index(len(self.mel_hz))
        raise ParameterError(
            f"front_end returns {shape} for every sound, and nothing says which axis is mel",
            advice=Advice("give the centres of the bands with ", Argument("mel_hz")),
        )

    def _has_gradient(self, y: Tensor) -> bool:
        try:
            with torch.enable_grad():
                return self._raw(y.clone().requires_grad_()).requires_grad
        except ParameterError:  # as NumPy refuses tensors that need a gradient
            return False


def complete_front_end(
    front_end: Any,
    patch_frames: int | None,
    seconds: float | None,
    *,
    sample_rate: int | None,
    hop_length: int | None,
    mel_hz: object,
    compression: Compression | PCEN | None,
) -> tuple[FrontEnd | GivenFrontEnd, int]:
    """Return a front end, made from a function if need be, and the length of the excerpts."""
    if patch_frames is not None and seconds is not None:
        raise ParameterError("patch_frames and seconds are both given: choose one")
    is_front_end = hasattr(front_end, "log_mel")  # a FrontEnd, or an object of its members
    if is_front_end:
        of_functions = {
            "sample_rate": sample_rate,
            "hop_length": hop_length,
            "mel_hz": mel_hz,
            "compression": compression,
        }
        if given := [name for name, value in of_functions.items() if value is not None]:
            raise ParameterError(f"{given[0]} is given beside a FrontEnd, which states its own")
        rate, hop = front_end.sample_rate, front_end.hop_length
    elif not callable(front_end):
        raise ParameterError(
            f"front_end is {type(front_end).__name__}, must be a FrontEnd or a function of a sound"
        )
    else:
        rate, hop = sample_rate or 0, hop_length or 0
    if seconds is not None and rate >= 1 and hop >= 1:
        patch_frames = _frames_of(seconds, hop / rate)
    if not is_front_end:
        front_end = GivenFrontEnd(
            front_end,
            sample_rate=sample_rate,
            hop_length=hop_length,
            n_samples=max(0, patch_frames or 0) * hop,
            mel_hz=mel_hz,
        )
        front_end.compression = compression
        if front_end.is_fixed and patch_frames not in (None, front_end.n_frames):
            raise ParameterError(
                f"patch_frames is {patch_frames}, front_end returns {front_end.n_frames} frames "
                "for every sound"
            )
        if front_end.is_fixed:
            patch_frames = front_end.n_frames
    if patch_frames is None:
        raise ParameterError(
            "patch_frames is None; an excerpt needs a length",
            advice=Advice("give ", Argument("patch_frames"), " or ", Argument("seconds")),
        )
    return front_end, patch_frames


def _frames_of(seconds: float, frame_seconds: float) -> int:
    """Round a length to whole frames; refuse one that is no length, or of no frame."""
    require_number("seconds", seconds)
    if not 0 < seconds < math.inf:
        raise ParameterError(f"seconds is {seconds:g}, must be finite and above 0")
    if (n := round(seconds / frame_seconds)) < 1:
        raise ParameterError(
            f"seconds is {seconds:g}, which is no whole frame of {frame_seconds:.3g} s"
        )
    return n
