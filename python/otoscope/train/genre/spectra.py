"""Magnitude spectra of labelled sounds in memory, and their standardisation per bin."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from otoscope.data.labelled import LabelledSound, usable_sounds
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent
from otoscope.signal import FrontEnd
from otoscope.signal.audio.files import read_audio
from otoscope.signal.audio.truncation import TruncatedSound, truncation

__all__ = ["Spectra", "Standardisation", "read_spectra", "standardisation"]

_SECONDS = 30.0
_LEAST_DEVIATION = 0.05  # bins of a smaller one are dropped: the inverse exceeds 20


@dataclass(frozen=True, eq=False)
class Spectra:
    """Spectra of sounds, one after the other.

    Parameters
    ----------
    magnitudes : Tensor [frame, bin]
        Magnitudes of all frames.
    first : Tensor [sound + 1], int64
        First frame of each sound; last, the number of frames.
    labels : Tensor [sound], int64
        Numbers of the labels.
    sounds : tuple of LabelledSound
        The sounds.
    skipped : mapping of str to ParameterError
        Sounds that are left out, by name, each with the reason.
    truncated : mapping of str to str
        What lacks in sounds that were cut off, by name.

    Examples
    --------
    >>> Spectra(torch.zeros(5, 3), torch.tensor([0, 2, 5]), torch.tensor([1, 0]), ()).lengths
    tensor([2, 3])
    """

    magnitudes: Tensor
    first: Tensor
    labels: Tensor
    sounds: tuple[LabelledSound, ...]
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    truncated: Mapping[str, str] = field(default_factory=dict)

    @property
    def lengths(self) -> Tensor:
        """Number of frames of each sound, [sound]."""
        return self.first.diff()

    @property
    def frame_labels(self) -> Tensor:
        """Label of each frame, [frame]."""
        return self.labels.repeat_interleave(self.lengths)

    def parts(self) -> Sequence[Tensor]:
        """Return the magnitudes [frame, bin] of each sound."""
        parts: Sequence[Tensor] = self.magnitudes.split(self.lengths.tolist())
        return parts

    def windows(self, n_frames: int, hop: int) -> tuple[Tensor, Tensor]:
        """Return the first frames [window] of all windows within a sound, and their labels."""
        starts, labels = [], []
        for first, length, label in zip(self.first, self.lengths, self.labels, strict=False):
            own = torch.arange(int(first), int(first) + int(length) - n_frames + 1, hop)
            starts.append(own)
            labels.append(label.expand(len(own)))
        return torch.cat(starts), torch.cat(labels)

    def thinned(self, every: int) -> Spectra:
        """Keep each frame whose number divides by ``every``, for networks of frames."""
        parts = [part[::every] for part in self.parts()]
        first = torch.tensor([0, *map(len, parts)]).cumsum(0)
        return replace(self, magnitudes=torch.cat(parts), first=first)

    @property
    def digest(self) -> str:
        """SHA-256 over frames and labels: what a checkpoint belongs to."""
        content = hashlib.sha256()
        for tensor in (self.magnitudes, self.first, self.labels):
            content.update(tensor.contiguous().numpy().tobytes())
        return content.hexdigest()


class Standardisation(NamedTuple):
    """Mean and deviation per bin, and which bins vary enough to be kept: Tensor [bin] each."""

    mean: Tensor
    std: Tensor
    kept: Tensor


def read_spectra(
    sounds: Sequence[LabelledSound],
    front_end: FrontEnd,
    labels: Sequence[str],
    *,
    progress: Progress = silent,
) -> Spectra:
    """Read the first 30 s of sounds, mixed to mono, and compute their magnitudes.

    Parameters
    ----------
    sounds : sequence of LabelledSound
        Sounds.
    front_end : FrontEnd
        Magnitudes [frame, bin] of a sound at its sample rate.
    labels : sequence of str
        Names of the labels, by number.
    progress : bool or callable
        True shows a bar.

    Returns
    -------
    Spectra
        Spectra, without the sounds that are silent, too short or cannot be read, as jazz.00054 of
        GTZAN: ``skipped`` lists them.

    Raises
    ------
    ParameterError
        If a sound has a label that is not named, none of a label can be used, or more than half of
        all sounds cannot.

    Examples
    --------
    >>> read_spectra(sounds, magnitude_spectrum(), ["jazz", "rock"])  # doctest: +SKIP
    """
    truncated = dict[str, str]()

    def magnitudes_of(sound: LabelledSound) -> Tensor:
        magnitudes = _magnitudes(sound, front_end)
        if text := truncation(sound.path):
            truncated[sound.name] = text
        return magnitudes

    kept, parts, skipped = usable_sounds(sounds, labels, magnitudes_of, progress=progress)
    first = torch.tensor([0, *(len(part) for part in parts)]).cumsum(0)
    numbers = torch.tensor([list(labels).index(sound.label) for sound in kept])
    return Spectra(torch.cat(parts), first, numbers, tuple(kept), skipped, truncated)


def _magnitudes(sound: LabelledSound, front_end: FrontEnd) -> Tensor:
    """Compute the magnitudes [frame, bin] of the beginning of a sound."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedSound)  # `Spectra.truncated` tells them
        y = read_audio(sound.path, sr=front_end.sample_rate)[0]
    if not bool(y.any()):
        raise ParameterError(f"all {len(y)} samples are silent")
    return front_end.mel(y[: round(_SECONDS * front_end.sample_rate)])


def standardisation(spectra: Spectra) -> Standardisation:
    """Compute mean and deviation of each bin in double precision; drop bins that hardly vary.

    Parameters
    ----------
    spectra : Spectra
        Spectra to train on.

    Returns
    -------
    Standardisation
        Mean, deviation (of the population), and 0 for bins whose inverse deviation exceeds 20; the
        deviation of these is 1.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> frames = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    >>> made = standardisation(Spectra(frames, torch.tensor([0, 2]), torch.tensor([0]), ()))
    >>> made.mean, made.std, made.kept
    (tensor([1., 1.]), tensor([1., 1.]), tensor([1., 0.]))
    """
    n, total, square = len(spectra.magnitudes), 0.0, 0.0
    for part in spectra.magnitudes.split(1 << 14):
        frames = part.double()
        total, square = total + frames.sum(0), square + frames.square().sum(0)
    mean = torch.as_tensor(total / n)
    std = (square / n - mean.square()).clamp(min=0).sqrt()
    kept = std >= _LEAST_DEVIATION
    return Standardisation(mean.float(), std.where(kept, 1.0).float(), kept.float())
