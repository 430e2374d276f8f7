"""A sound file as a listening model hears it: its outputs over time, and excerpts to explain."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otoscope import models
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols import ListeningModel, Patch, device_of
from otoscope.signal import read_audio

PADDED = Advice(Argument("padded", True), " fills up with silence")

AROUND = 15.0
"""Seconds of sound on either side of an excerpt that are looked at with it."""

_STEP = 0.25  # seconds from one excerpt to the next, where outputs are followed over time
_ROOM = 1.0  # seconds that a front end may need beyond its last frame: more than any window


def listening_model(name: str, *, device: str) -> Any:
    """Load a model that can hear files, on a device that is there."""
    model = any_model(name, device=device)
    if not isinstance(model, ListeningModel):
        raise ParameterError(
            f"{name} has no front end, so it cannot hear a file; tie one to it with "
            "otoscope.models.Listener (docs/howto/own-model.md)"
        )
    return model


def any_model(name: str, *, device: str) -> Any:
    """Load a model, or a function of one's own, on a device that is there."""
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise ParameterError(f"device is {device!r}, must be cpu or cuda")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as err:
        reason = str(err).splitlines()[0]
        raise ParameterError(f"device {device!r} cannot be used: {reason}") from err
    model = models.load(name)
    return model.to(place) if isinstance(model, nn.Module) else model


class Heard:
    """One sound, read once. Seconds are those of frames: the first begins at 0."""

    def __init__(self, path: Path, model: Any, *, padded: bool) -> None:
        y, sr = read_audio(path, sr=model.sample_rate)
        hop, length = model.hop_length, model.patch_frames
        if padded:
            n_frames = (len(y) - 1) // hop + length  # an excerpt may begin with any frame of sound
            y = F.pad(y, (0, length * hop + round(_ROOM * sr)))
        elif len(y) < (length - 1) * hop:
            n_frames = 0  # too few for some front ends to say that they are
        else:
            with torch.no_grad():
                n_frames = len(model.prepare(y.to(device_of(model))))
        if n_frames < length:
            raise ParameterError(
                f"the sound lasts {len(y) / sr:.2f} s, too short for an excerpt of "
                f"{length * hop / sr:.2f} s",
                advice=PADDED,
            )
        self._y, self._sr, self._model, self._padded = y, sr, model, padded
        self.last = (n_frames - length) * hop / sr

    @property
    def offset(self) -> float:
        """Seconds of the recording where the first frame begins: not 0 in every front end."""
        return self.patch(0.0).start

    def starts(self, every: float) -> list[float]:
        """Seconds 0, every, ... at which a whole excerpt may begin."""
        return list(takewhile(lambda start: start <= self.last, (i * every for i in count())))

    def timeline(self, *, around: float | None) -> models.Timeline:
        """Outputs over the whole sound, or around one second of it."""
        first, y = 0, self._y
        if around is not None:
            self._check(around)
            first, y = self._part(around)
        hop = self._model.hop_length
        step = max(1, round(_STEP * self._sr / hop))
        curve = models.timeline(self._model, y.to(device_of(self._model)), hop=step)
        starts = curve.starts + first * hop / self._sr
        inside = starts < self.last + hop / self._sr / 2
        return replace(curve, starts=starts[inside], outputs=curve.outputs[inside])

    def patch(self, start: float) -> Patch:
        """Cut an excerpt from the sound around it: a long song is not prepared for each."""
        self._check(start)
        first, part = self._part(start)
        hop = self._model.hop_length
        begin = (round(start * self._sr / hop) - first) * hop / self._sr
        patch: Patch = self._model.patch((part, self._sr), start=begin)
        return replace(patch, start=patch.start + first * hop / self._sr)

    def _check(self, start: float) -> None:
        if not 0 <= start < self.last + self._model.hop_length / self._sr / 2:
            raise ParameterError(
                f"start is {start:g} s, the last excerpt begins at {self.last:.2f} s",
                advice=None if self._padded else PADDED,
            )

    def _part(self, start: float) -> tuple[int, Tensor]:
        """The sound around an excerpt, and the frame with which that begins."""
        hop, around = self._model.hop_length, round(AROUND * self._sr)
        first = max(0, (round(start * self._sr) - around) // hop)
        end = round(start * self._sr) + self._model.patch_frames * hop + around
        return first, self._y[first * hop : end]
