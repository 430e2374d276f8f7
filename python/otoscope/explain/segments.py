"""Segments: the parts of a patch that an explanation ranks.

A segmentation is a callable Patch -> Segments, made before the patch is known: `temporal(10)` for
example. Ids count along time first, then along frequency: ``id = n_mel * time + band``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.registry import Registry
from otoscope.protocols.patch import Patch, as_tensor
from otoscope.signal.rhythm.events import beat_times, onset_times

__all__ = [
    "DEFAULT_SEGMENTS",
    "SEGMENTATIONS",
    "Extent",
    "Segmentation",
    "Segments",
    "beats",
    "from_labels",
    "grid",
    "onsets",
    "resolve",
    "spectral",
    "temporal",
]

DEFAULT_SEGMENTS = "temporal:10"
_Kind = Literal["beat", "onset"]
EVENT_TIMES = {"beat": beat_times, "onset": onset_times}


@dataclass(frozen=True)
class Extent:
    """Locate a segment by the smallest box around it.

    Parameters
    ----------
    name : str
        Name of the segment: "time 3", "band 2", "beat 0".
    frames, bands : (int, int)
        First frame or band, and one past the last.
    seconds : (float, float), optional
        Start and end in the recording, if the patch has a frame rate.
    hz : (float, float), optional
        Lowest and highest frequency, if the patch has band centres; borders lie between them.

    Examples
    --------
    >>> temporal(2)(Patch(torch.zeros(4, 3))).extents[1].frames
    (2, 4)
    """

    name: str
    frames: tuple[int, int]
    bands: tuple[int, int]
    seconds: tuple[float, float] | None = None
    hz: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Segments:
    """Hold the segments of one patch.

    Parameters
    ----------
    map : ops.SegmentMap
        Segment of each cell, [frame, mel].
    extents : tuple of Extent
        Name and place of each segment.

    Examples
    --------
    >>> len(temporal(2)(Patch(torch.zeros(4, 3))))
    2
    """

    map: ops.SegmentMap
    extents: tuple[Extent, ...]

    def __len__(self) -> int:
        """Count the segments."""
        return len(self.extents)


class Segmentation(Protocol):
    """Cut a patch into segments; its ``str`` is the name that records give it."""

    def __call__(self, patch: Patch) -> Segments:
        """Cut one patch."""


SEGMENTATIONS: Registry[Segmentation] = Registry("segments")


@dataclass(frozen=True)
class grid:  # reads as a function: segments=grid(6, 4)
    """Cut into rectangles: blocks of ``floor(size / n)``, the last blocks take the rest.

    Parameters
    ----------
    n_time, n_mel : int
        Number of blocks along time and frequency, >= 1.

    Raises
    ------
    ParameterError
        If a number is below 1, or above the patch's number of frames or bands.

    References
    ----------
    Mishra et al. (2017) :cite:`mishra2017`: 6 x 4 on 115 frames and 80 bands.

    Examples
    --------
    >>> [e.frames for e in grid(6, 1)(Patch(torch.zeros(115, 80))).extents]
    [(0, 19), (19, 38), (38, 57), (57, 76), (76, 95), (95, 115)]
    """

    n_time: int
    n_mel: int

    def __post_init__(self) -> None:
        for name, n in (("n_time", self.n_time), ("n_mel", self.n_mel)):
            if n < 1:
                raise ParameterError(f"{name} is {n}, must be >= 1")

    def __call__(self, patch: Patch) -> Segments:
        """Cut a patch into the blocks."""
        n_frames, n_bands = patch.values.shape
        times = _blocks(n_frames, self.n_time, "frames")
        bands = _blocks(n_bands, self.n_mel, "mel bands")
        names = [self._name(t, b) for t in range(self.n_time) for b in range(self.n_mel)]
        return _segments(patch, self.n_mel * times[:, None] + bands, names)

    def __str__(self) -> str:
        """Write it as a call."""
        if self.n_mel == 1:
            return f"temporal({self.n_time})"
        is_spectral = self.n_time == 1
        return f"spectral({self.n_mel})" if is_spectral else f"grid({self.n_time}, {self.n_mel})"

    def _name(self, time: int, band: int) -> str:
        parts = [f"time {time}"] if self.n_time > 1 or self.n_mel == 1 else []
        return ", ".join([*parts, f"band {band}"] if self.n_mel > 1 else parts)


def temporal(n: int) -> grid:
    """Cut along time, all bands together.

    Parameters
    ----------
    n : int
        Number of blocks, >= 1.

    Returns
    -------
    Segmentation
        Blocks of floor(frames / n) frames; the last takes the rest.

    Examples
    --------
    >>> temporal(10)(Patch(torch.zeros(115, 80))).extents[9].frames
    (99, 115)
    """
    return grid(n, 1)


def spectral(n: int) -> grid:
    """Cut along frequency, all frames together.

    Parameters
    ----------
    n : int
        Number of blocks, >= 1.

    Returns
    -------
    Segmentation
        Blocks of floor(bands / n) bands; the last takes the rest.

    Examples
    --------
    >>> spectral(10)(Patch(torch.zeros(115, 80))).extents[9].bands
    (72, 80)
    """
    return grid(1, n)


@dataclass(frozen=True, eq=False)
class from_labels:  # reads as a function: segments=from_labels(labels)
    """Take segments drawn by hand or by another program.

    Parameters
    ----------
    labels : Tensor [frame, mel], integer
        Label of each cell, of the patch's shape; in rising order they become segments 0, 1, ...
    names : sequence of str, optional
        Name of each segment; "segment <label>" by default.

    Raises
    ------
    ParameterError
        If the labels are not integer [frame, mel] of the patch's shape, or names do not match.

    Examples
    --------
    >>> cut = from_labels(torch.tensor([[7, 7], [3, 3]]), names=["end", "start"])
    >>> [e.name for e in cut(Patch(torch.zeros(2, 2))).extents]
    ['end', 'start']
    """

    labels: Tensor
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        labels = torch.as_tensor(self.labels)
        if labels.ndim != 2 or labels.is_floating_point() or labels.is_complex():
            raise ParameterError(
                f"labels have shape {tuple(labels.shape)} and dtype {labels.dtype}; "
                "a label map is integer [frame, mel]"
            )
        object.__setattr__(self, "labels", labels)
        n = len(labels.unique())
        if self.names is not None and len(self.names) != n:
            raise ParameterError(f"{len(self.names)} names came for {n} labels")

    def __call__(self, patch: Patch) -> Segments:
        """Apply the label map to a patch of its shape."""
        if self.labels.shape != patch.values.shape:
            raise ParameterError(
                f"labels have shape {tuple(self.labels.shape)}, patch {tuple(patch.values.shape)}"
            )
        labels, ids = self.labels.unique(return_inverse=True)
        names = self.names or [f"segment {label}" for label in labels.tolist()]
        return _segments(patch, ids, names)

    def __str__(self) -> str:
        """Write it as a call."""
        return f"from_labels({len(self.labels.unique())} segments)"


@dataclass(frozen=True)
class _Events:
    """Cut along time at onsets or beats of the patch's sound."""

    kind: _Kind

    def __call__(self, patch: Patch) -> Segments:
        """Detect the events in the sound and cut the patch there."""
        if patch.y is None or patch.sr is None or patch.hop_length is None:
            raise ParameterError(
                f"{self.kind}-synchronous segments need the patch's sound, which it lacks; "
                "give it y, sr and hop_length, or use segments.temporal"
            )
        n_frames = len(patch.values)
        seconds = torch.from_numpy(EVENT_TIMES[self.kind](patch.y, patch.sr))
        edges = (seconds * patch.sr / patch.hop_length).round().long()
        edges = edges[(edges > 0) & (edges < n_frames)].unique()
        if len(edges) == 0:
            raise ParameterError(
                f"no {self.kind} was found in the excerpt",
                advice=Advice("choose ", Argument("segments", "temporal:10")),
            )
        ids = torch.bucketize(torch.arange(n_frames), edges, right=True)
        names = [f"{self.kind} {i}" for i in range(len(edges) + 1)]
        return _segments(patch, ids[:, None].expand(patch.values.shape), names)

    def __str__(self) -> str:
        """Write it as a call."""
        return f"{self.kind}s()"


def beats() -> _Events:
    """Cut along time at the beats of the patch's sound, found with librosa's method.

    Returns
    -------
    Segmentation
        Segments from beat to beat; refuses a patch without sound or without a beat.

    References
    ----------
    Ellis (2007) :cite:`ellis2007`.

    Examples
    --------
    >>> str(beats())
    'beats()'
    """
    return _Events("beat")


def onsets() -> _Events:
    """Cut along time at the onsets of the patch's sound, each moved back to a minimum of energy.

    Returns
    -------
    Segmentation
        Segments from onset to onset; refuses a patch without sound or without an onset.

    References
    ----------
    Böck and Widmer (2013) :cite:`boeck2013`.

    Examples
    --------
    >>> str(onsets())
    'onsets()'
    """
    return _Events("onset")


SEGMENTATIONS.add("temporal", temporal, "blocks in time", "temporal:10")
SEGMENTATIONS.add("spectral", spectral, "blocks in frequency", "spectral:8")
SEGMENTATIONS.add("grid", grid, "rectangles, time x frequency", "grid:6x4")
SEGMENTATIONS.add("beats", beats, "from beat to beat")
SEGMENTATIONS.add("onsets", onsets, "from onset to onset")
SEGMENTATIONS.add("from_labels", from_labels, "cells of equal label, in Python only", "")


def resolve(segments: Segmentation | Tensor | str) -> Segmentation:
    """Make the segmentation that a user names.

    Parameters
    ----------
    segments : Segmentation, Tensor [frame, mel] or str
        Name with numbers, "grid:6x4" or "grid(6, 4)"; a label map; or a segmentation.

    Returns
    -------
    Segmentation
        Segmentation to apply to patches.

    Examples
    --------
    >>> str(resolve("temporal:10"))
    'temporal(10)'
    """
    if hasattr(segments, "__array__"):
        return from_labels(as_tensor("segments", segments))
    if isinstance(segments, str):
        segmentation = SEGMENTATIONS.make(segments)
        if segmentation is None:
            raise ParameterError(f"segments is {segments!r}; write {SEGMENTATIONS.choices()}")
        return segmentation
    if not callable(segments):
        raise ParameterError(
            f"segments is {segments!r}; give a name such as {DEFAULT_SEGMENTS!r}, "
            "segments.grid(6, 4) or the like, or a label map [frame, mel]"
        )
    return segments


def _blocks(size: int, n: int, unit: str) -> Tensor:
    """Return the block of each frame or band."""
    if n > size:
        raise ParameterError(f"{n} segments for {size} {unit}; use at most {size}")
    return (torch.arange(size) // (size // n)).clamp(max=n - 1)


def _segments(patch: Patch, ids: Tensor, names: Sequence[str]) -> Segments:
    extents = []
    for i, name in enumerate(names):
        cells = (ids == i).nonzero(as_tuple=True)
        frames, bands = ((int(axis.min()), int(axis.max()) + 1) for axis in cells)
        extents.append(Extent(name, frames, bands, _seconds(patch, frames), _hz(patch, bands)))
    return Segments(ops.SegmentMap(ids, len(names)).to(patch.values.device), tuple(extents))


def _seconds(patch: Patch, frames: tuple[int, int]) -> tuple[float, float] | None:
    if patch.sr is None or patch.hop_length is None:
        return None
    first, end = (patch.start + frame * patch.hop_length / patch.sr for frame in frames)
    return first, end


def _hz(patch: Patch, bands: tuple[int, int]) -> tuple[float, float] | None:
    if patch.mel_hz is None or len(patch.mel_hz) < 2:
        return None
    centre = patch.mel_hz.double()
    inner = (centre[1:] + centre[:-1]) / 2
    lowest, highest = 2 * centre[:1] - inner[:1], 2 * centre[-1:] - inner[-1:]
    border = torch.cat([lowest.clamp(min=0), inner, highest])
    return float(border[bands[0]]), float(border[bands[1]])
