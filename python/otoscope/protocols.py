"""What explainers, attacks and reports ask of sound and of a listening model.

``Patch`` is a picture of sound, [frame, mel] in a model's input domain, with the sound it shows.
``ListeningModel`` is what a model says of itself. A plain callable [batch, 1, frame, mel] ->
[batch, output] is enough to explain a bare tensor; the rest is needed for files and listening.
Frame i of a patch owns samples i * hop_length ... (i + 1) * hop_length of its sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.listen import listen
from otoscope.signal.mel.domain import Domain

__all__ = ["ListeningModel", "Patch", "Sound", "Target", "choose_targets"]

Sound: TypeAlias = "str | PathLike[str] | tuple[Any, float]"
"""A file, or ``(y, sr)``: array or Tensor [sample] or [channel, sample], and samples a second."""
Target: TypeAlias = "str | int | Sequence[str | int] | None"
"""Names or indices of a model's outputs; None: its only one."""


@dataclass(frozen=True, eq=False)
class Patch:
    """An excerpt as a model sees it, and the sound it shows.

    Parameters
    ----------
    values : Tensor [frame, mel]
        Floating and finite, in the model's input domain.
    y : Tensor or array [sample], optional
        The sound of the excerpt, kept as float32 on the CPU; needs ``sr``.
    sr : float, optional
        Samples a second of ``y``.
    hop_length : int, optional
        Samples from one frame to the next.
    mel_hz : Tensor or array [mel], optional
        Centre of each band in Hz, rising.
    start : float
        Seconds from the beginning of the recording to the first sample.
    domain : Domain, optional
        How ``values`` relate to log-mel and to energies: mean, std, compression, floor.

    Raises
    ------
    ParameterError
        If an array has another shape, is not finite, or ``y`` comes without ``sr``.

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

    def __post_init__(self) -> None:
        values = torch.as_tensor(self.values)
        if values.ndim != 2 or values.numel() == 0 or not values.is_floating_point():
            raise ParameterError(
                f"values has shape {tuple(values.shape)} and dtype {values.dtype}; "
                "a patch is [frame, mel], not empty, floating"
            )
        _check_finite("values", values)
        object.__setattr__(self, "values", values)
        if self.sr is not None and not (math.isfinite(self.sr) and self.sr > 0):
            raise ParameterError(f"sr is {self.sr}, must be samples a second, > 0")
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
                f"domain has {len(self.domain.mean)} bands, values {values.shape[1]}"
            )

    @property
    def duration(self) -> float | None:
        """Duration of the frames in seconds, or None where the frame rate is not known."""
        if self.sr is None or self.hop_length is None:
            return None
        return self.values.shape[0] * self.hop_length / self.sr

    def listen(self, gain: Tensor) -> Tensor:
        """Make the sound of some cells, with the original phase.

        Parameters
        ----------
        gain : Tensor [frame, mel]
            Linear gain of each cell, or keep (True stays). The same in all bands: cut in time
            with fades of 5 ms; else filtered.

        Returns
        -------
        Tensor [sample]
            As long as ``y``.

        Raises
        ------
        ParameterError
            If the patch has no sound, or ``gain`` another shape than ``values``.

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

    def _sound(self) -> Tensor:
        y = torch.as_tensor(self.y).detach().to("cpu", torch.float32)
        if y.ndim != 1:
            raise ParameterError(f"y has shape {tuple(y.shape)}, must be [sample], mono")
        if self.sr is None:
            raise ParameterError("y came without sr; a sound needs its samples a second")
        _check_finite("y", y)
        return y

    def _centres(self) -> Tensor:
        mel_hz = torch.as_tensor(self.mel_hz).detach().to("cpu", torch.float32)
        if mel_hz.shape != self.values.shape[1:]:
            raise ParameterError(
                f"mel_hz has shape {tuple(mel_hz.shape)}, values has {self.values.shape[1]} bands"
            )
        if not bool((mel_hz.diff() > 0).all()) or not bool(mel_hz.isfinite().all()):
            raise ParameterError("mel_hz must be finite and rise from band to band")
        return mel_hz


@runtime_checkable
class ListeningModel(Protocol):
    """What a model of sound says of itself."""

    @property
    def sample_rate(self) -> int:
        """Rate that `prepare` expects, samples a second."""
        ...

    @property
    def hop_length(self) -> int:
        """Distance of frames in samples."""
        ...

    @property
    def patch_frames(self) -> int:
        """Length of an excerpt."""
        ...

    @property
    def n_mels(self) -> int:
        """Number of bands of an excerpt."""
        ...

    @property
    def output_names(self) -> tuple[str, ...]:
        """One name a column of the output."""
        ...

    @property
    def differentiable(self) -> bool:
        """True if gradients reach the samples through `prepare` and the call."""
        ...

    @property
    def domain(self) -> Domain:
        """Mean, std, compression and floor of the input."""
        ...

    @property
    def mel_hz(self) -> Tensor:
        """Centre of each band: Tensor [mel], Hz."""
        ...

    def prepare(self, y: Tensor) -> Tensor:
        """Turn a sound into the model's input domain.

        Parameters
        ----------
        y : Tensor [sample]
            At ``sample_rate``.

        Returns
        -------
        Tensor [frame, mel]
            All of it; the model is called with ``patch_frames`` of them.

        Examples
        --------
        >>> model.prepare(torch.zeros(16000)).shape  # doctest: +SKIP
        torch.Size([98, 80])
        """
        ...

    def patch(self, sound: Sound, *, start: float = 0.0) -> Patch:
        """Cut an excerpt.

        Parameters
        ----------
        sound : str, PathLike or (y, sr)
            A file, or samples [sample] or [channel, sample] and their rate.
        start : float
            Seconds.

        Returns
        -------
        Patch
            With ``patch_frames`` frames, their sound and the domain.

        Examples
        --------
        >>> model.patch("song.ogg", start=12.0).duration  # doctest: +SKIP
        3.0
        """
        ...

    def __call__(self, batch: Tensor) -> Tensor:
        """Evaluate excerpts, [batch, 1, frame, mel] -> [batch, output]."""
        ...


def choose_targets(
    target: Target,
    n_outputs: int,
    output_names: Sequence[str] | None = None,
    *,
    called: str = "target",
) -> dict[str, int]:
    """Find the outputs that a user means.

    Parameters
    ----------
    target : str, int, sequence of these, or None
        Names, or indices from 0; None means the only output.
    n_outputs : int
        How many the model has.
    output_names : sequence of str, optional
        What it calls them; else "output 0" and so on.
    called : str
        What messages call ``target``.

    Returns
    -------
    dict of str to int
        Name and column of each target, in the order asked for.

    Raises
    ------
    ParameterError
        If a target is unknown (names the nearest), or None and there are several.

    Examples
    --------
    >>> choose_targets("speech", 2, ["singing", "speech"])
    {'speech': 1}
    """
    names = list(output_names or [f"output {i}" for i in range(n_outputs)])
    if len(names) != n_outputs:
        raise ParameterError(f"the model names {len(names)} outputs and returns {n_outputs}")
    if target is None and n_outputs != 1:
        raise ParameterError(
            f"the model has {n_outputs} outputs ({_some(names)}); choose with {called}="
        )
    wanted: Sequence[object] = [0 if target is None else target]
    if isinstance(target, Sequence) and not isinstance(target, str):
        wanted = target
    if not wanted:
        raise ParameterError(f"{called} is an empty list; name at least one output")
    naming = "" if output_names else "; to name them set model.output_names = [...]"
    columns = [_column(one, names, naming, called) for one in wanted]
    return {names[column]: column for column in columns}


def _check_finite(name: str, values: Tensor) -> None:
    bad = int((~values.isfinite()).sum())
    if bad:
        raise ParameterError(f"{name}: {bad} of {values.numel()} numbers are NaN or infinite")


def _column(target: object, names: list[str], naming: str, called: str) -> int:
    if not isinstance(target, str | int):
        raise ParameterError(f"{called} is {target!r}; give an output's name or index, or a list")
    if isinstance(target, int):
        if not 0 <= target < len(names):
            raise ParameterError(f"{called} is {target}, must be in 0..{len(names) - 1}")
        return target
    if target not in names:
        near = get_close_matches(target, names, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else f": {_some(names)}"
        raise ParameterError(f"{called} is {target!r}, the model has no such output{hint}{naming}")
    return names.index(target)


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
