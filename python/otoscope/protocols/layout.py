"""Layouts: the axes of a model's input by name, such as "b 1 mel frame"."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = [
    "HOUSE",
    "InputLayout",
    "TransposedPicture",
    "looks_transposed",
    "parse_layout",
    "square_looks_transposed",
]

_NAMES = {
    **dict.fromkeys(("b", "batch"), "b"),
    **dict.fromkeys(("frame", "time", "t"), "frame"),
    **dict.fromkeys(("mel", "freq", "f", "bin"), "mel"),
    **dict.fromkeys(("sample",), "sample"),
    **dict.fromkeys(("channel", "c"), "1"),
}
_BANDS = {12, 13, 16, 20, 24, 26, 30, 32, 40, 48, 60, 64, 72, 80, 84, 88, 96, 120, 128, 229, 256}
"""Usual numbers of bands: chroma, MFCC, mel, constant Q."""
_BINS = {200, 256, 400, 512, 1024, 2048, 4096}
"""Usual numbers of bins of a spectrum, less one."""


_SMALLEST_SQUARE, _ROUGHER = 32, 1.25


class TransposedPicture(UserWarning):
    """Warns that a picture without named axes looks like [mel, frame], not [frame, mel]."""


@dataclass(frozen=True)
class InputLayout:
    """Axes of a model's input, in order; made by `parse_layout`.

    Parameters
    ----------
    axes : tuple of str
        "b", and "frame" and "mel" or "sample" alone, in any order; numbers are axes of that size
        in which the input is repeated.

    Examples
    --------
    >>> parse_layout("b 1 mel frame").arrange(torch.zeros(8, 1, 100, 40)).shape
    torch.Size([8, 1, 40, 100])
    """

    axes: tuple[str, ...]

    def __str__(self) -> str:
        """Write the layout as `parse_layout` reads it."""
        return " ".join(self.axes)

    @property
    def named(self) -> str:
        """Names of the axes for messages: "[batch, 1, mel, frame]"."""
        return f"[{', '.join('batch' if axis == 'b' else axis for axis in self.axes)}]"

    @property
    def is_sound(self) -> bool:
        """True for waveforms: [sample] instead of [frame, mel]."""
        return "sample" in self.axes

    @property
    def _spatial(self) -> tuple[str, ...]:
        return ("sample",) if self.is_sound else ("frame", "mel")

    def arrange(self, batch: Tensor) -> Tensor:
        """Arrange a batch [batch, 1, frame, mel] as the model takes it; of sounds, mel is 1."""
        if self == HOUSE:
            return batch
        picture = batch[:, 0, :, 0] if self.is_sound else batch[:, 0]
        order = ("b", *self._spatial)
        arranged = picture.permute([order.index(axis) for axis in self.axes if axis in order])
        sizes = list(arranged.shape)
        for place, axis in enumerate(self.axes):
            if axis not in order:
                arranged = arranged.unsqueeze(place)
                sizes.insert(place, int(axis))
        return arranged.expand(sizes) if arranged.shape != torch.Size(sizes) else arranged

    def pictures(self, values: Tensor, name: str = "patch") -> tuple[Tensor, bool]:
        """Undo `arrange`: return [excerpt, frame, mel], and whether ``values`` had a batch axis.

        The batch axis may be left out, and axes of a fixed size too.
        """
        spatial = [axis for axis in self.axes if axis in self._spatial]
        batched = [axis for axis in self.axes if axis in ("b", *spatial)]
        whole = [axis for axis in self.axes if axis != "b"]
        forms = [list(self.axes), batched, spatial, whole]
        is_flat = len(batched) == values.ndim and any(
            size == 1 for axis, size in zip(batched, values.shape, strict=True) if axis in spatial
        )
        if is_flat and whole[0] in spatial:
            forms.insert(1, whole)  # [frame, mel, 1] is no batch of pictures of one band
        for axes in forms:
            if values.ndim == len(axes):
                break
        else:
            raise ParameterError(
                f"{name} has shape {tuple(values.shape)}, the layout is {str(self)!r}; "
                f"give [{', '.join(spatial)}] or {self.named}"
            )
        for axis in reversed(range(len(axes))):
            if axes[axis].isdecimal():
                values = self._without(values, axis, int(axes[axis]), name)
        kept = [axis for axis in axes if not axis.isdecimal()]
        is_batch = "b" in kept
        order = [kept.index(axis) for axis in (*(["b"] if is_batch else []), *self._spatial)]
        pictures = values.permute(order)
        if self.is_sound:
            pictures = pictures[..., None]
        return pictures if is_batch else pictures[None], is_batch

    def cells(self, ids: Tensor) -> Tensor:
        """Arrange a map [frame, mel] as one input of the model, with a batch axis of 1."""
        return self.arrange(ids[None, None])

    def _without(self, values: Tensor, axis: int, size: int, name: str) -> Tensor:
        """Drop an axis along which the input is repeated."""
        if values.shape[axis] != size:
            raise ParameterError(
                f"{name} has shape {tuple(values.shape)}, which contradicts the layout "
                f"{str(self)!r}: axis {axis} must have size {size}"
            )
        first = values.select(axis, 0)
        if size > 1 and not torch.equal(values, first.unsqueeze(axis).expand_as(values)):
            raise ParameterError(
                f"{name} has {size} different channels along axis {axis}; a picture has one: "
                "explain one of them, and give the others with fixed="
            )
        return first


HOUSE = InputLayout(("b", "1", "frame", "mel"))
"""Layout of otoscope's own batches."""
SOUND = InputLayout(("b", "sample"))
"""Layout of sounds."""


def parse_layout(layout: str | InputLayout | None) -> InputLayout:
    """Read a layout.

    Parameters
    ----------
    layout : str, InputLayout or None
        Names of the axes, separated by spaces: b (or batch), frame (time), mel (freq, bin) or
        sample, and numbers for axes of a fixed size (channel is 1). None is "b 1 frame mel".

    Returns
    -------
    InputLayout
        Axes in order.

    Raises
    ------
    ParameterError
        If a name is unknown or given twice, or one is missing.

    Examples
    --------
    >>> parse_layout("batch channel time freq") == HOUSE
    True
    """
    if layout is None:
        return HOUSE
    if isinstance(layout, InputLayout):
        return layout
    words = layout.replace(",", " ").split() if isinstance(layout, str) else []
    axes = tuple(_NAMES.get(word, word) for word in words)
    named = sorted(axis for axis in axes if not axis.isdecimal())
    is_known = named in (["b", "frame", "mel"], ["b", "sample"])
    if not is_known or "0" in axes:
        raise ParameterError(
            f"layout is {layout!r}; name each axis of the model's input once: b, frame and mel (or "
            "b and sample), with a number for an axis of a fixed size, as in 'b 1 mel frame'"
        )
    return InputLayout(tuple(str(int(axis)) if axis.isdecimal() else axis for axis in axes))


def looks_transposed(frames: int, bands: int) -> bool:
    """Tell whether the sizes of [frame, mel] are rather those of [mel, frame].

    Examples
    --------
    >>> looks_transposed(80, 115), looks_transposed(115, 80), looks_transposed(128, 128)
    (True, False, False)
    """
    is_spectrum = bands - 1 in _BINS
    least = 4 * frames if frames < 32 else 2 * frames if bands in _BANDS else frames + 1
    return not is_spectrum and frames in _BANDS and bands >= least


def square_looks_transposed(picture: Tensor) -> bool:
    """Tell whether a square picture [frame, mel] is rather [mel, frame], by its values.

    Frames of a spectrogram overlap, so that neighbours in time differ less than those in frequency:
    of speech and music the mean differences have ratios of 0.3 to 1.1, standardised or not.

    Examples
    --------
    >>> square_looks_transposed(torch.rand(40, 1) + torch.zeros(40, 40))
    True
    """
    frames, bands = picture.shape
    if frames != bands or frames < _SMALLEST_SQUARE:
        return False
    values = picture.detach().double()
    along = [float(values.diff(dim=axis).abs().mean()) for axis in (0, 1)]
    return along[0] > _ROUGHER * along[1]
