"""The projection onto spectra of signals whose frames are centred, between padded ends.

P = stft(padded again (cut to the signal (istft))). Away from the ends that is the projection of raw
frames, which `otoscope.ops.project` does in one pass; frames that see padding are done again. With
zeros for padding it is orthogonal too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope import ops
from otoscope.ops.frames import replace_magnitude
from otoscope.signal.stft import istft, stft

__all__ = ["Projection"]


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Framing of a signal of known length, and the projection onto its consistent spectra.

    Parameters
    ----------
    window : Tensor [n_fft]
        Window of the frames.
    hop_length : int
        Samples between frames.
    center : bool
        Whether frames are centred; otherwise they are raw.
    pad_mode : str
        What lies beyond the ends of the signal if centred, as in `stft`.
    length : int
        Samples of the signal.

    Examples
    --------
    >>> import torch
    >>> w, C = torch.hann_window(8), torch.ones(9, 5, dtype=torch.complex64)
    >>> P = Projection(window=w, hop_length=2, center=True, pad_mode="constant", length=16)
    >>> once = P(C, out=torch.empty_like(C))
    >>> torch.allclose(P(once, out=torch.empty_like(C)), once, atol=1e-5)
    True
    """

    window: Tensor
    hop_length: int
    center: bool
    pad_mode: str
    length: int

    def __call__(
        self,
        C: Tensor,
        *,
        out: Tensor,
        magnitude: Tensor | None = None,
        momentum: float = 0.0,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Project into ``out``; the arguments are those of `otoscope.ops.project`."""
        n_fft, hop, count = len(self.window), self.hop_length, C.shape[-2]
        padded = -(-(n_fft - n_fft // 2) // hop)  # frames at an end that see padding
        seen = padded + -(-n_fft // hop)  # frames that decide these
        if self.center and (count <= 2 * seen or self.pad_mode == "circular"):
            return out.copy_(self._at_length(self.length, C, magnitude, previous, momentum))
        ops.project(
            C,
            window=self.window,
            hop_length=hop,
            magnitude=magnitude,
            momentum=momentum,
            previous=previous,
            out=out,
        )
        if self.center:
            length = self.length - (count - 2 * seen) * hop
            S = None if magnitude is None else _ends(magnitude, seen)
            before = None if previous is None else _ends(previous, seen)
            again = self._at_length(length, _ends(C, seen), S, before, momentum)
            for end in slice(padded), slice(-padded, None):
                out[..., end, :] = again[..., end, :]
        return out

    def inverse(self, C: Tensor, *, length: int | None = None) -> Tensor:
        """Find the signal whose spectrum is nearest.

        Parameters
        ----------
        C : Tensor [..., frame, bin]
            Complex spectra.
        length : int, optional
            Samples of the result; default: this projection's own.

        Returns
        -------
        Tensor [..., sample]
            By least squares; see `otoscope.ops.istft_ls`.

        Examples
        --------
        >>> projection.inverse(C)  # doctest: +SKIP
        """
        return istft(
            C,
            window=self.window,
            hop_length=self.hop_length,
            center=self.center,
            length=self.length if length is None else length,
        )

    def _at_length(
        self,
        length: int,
        C: Tensor,
        magnitude: Tensor | None,
        previous: Tensor | None,
        momentum: float,
    ) -> Tensor:
        """Project a signal of another length by way of its samples."""
        if magnitude is not None:
            C = replace_magnitude(C, magnitude, previous, momentum)
        return stft(
            self.inverse(C, length=length),
            window=self.window,
            hop_length=self.hop_length,
            center=self.center,
            pad_mode=self.pad_mode,
        )


def _ends(part: Tensor, count: int) -> Tensor:
    """The outermost frames of both ends, as if there were no middle."""
    return torch.cat([part[..., :count, :], part[..., -count:, :]], -2)
