"""Sound files as a listening model receives them: outputs over time, and excerpts to explain."""

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
from otoscope.models.loading import load_identified
from otoscope.protocols import ListeningModel, Patch, device_of
from otoscope.signal import read_audio

__all__ = [
    "CONTEXT",
    "PADDED",
    "SUFFIXES",
    "Recording",
    "load_identified_listener",
    "load_identified_model",
    "load_listening_model",
    "sound_files",
]

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}

PADDED = Advice(Argument("padded", True), " fills up with silence")

CONTEXT = 15.0
"""Seconds of sound that are processed on either side of an excerpt."""

_STEP = 0.25  # seconds from one excerpt to the next in an output over time
_MARGIN = 1.0  # seconds that a front end may need beyond its last frame: more than any window


def sound_files(sounds: tuple[Path, ...]) -> list[Path]:
    """List sound files, each once, in the order given; folders are searched and sorted.

    Hidden files are left out: those below .git, and ._song.wav of a Mac.
    """
    files: dict[Path, None] = {}  # a file that is named twice is explained once
    for sound in sounds:
        if not sound.exists():
            raise ParameterError(f"{sound} is not there")
        inside = sorted(sound.rglob("*")) if sound.is_dir() else []
        audible = [p for p in inside if p.suffix.lower() in SUFFIXES and p.is_file()]
        visible = [p for p in audible if not _is_hidden(p.relative_to(sound))]
        files |= dict.fromkeys(visible if sound.is_dir() else [sound])
    if not files:
        folders = ", ".join(map(str, sounds))
        raise ParameterError(f"{folders}: no sound files ({', '.join(sorted(SUFFIXES))})")
    return list(files)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def load_listening_model(name: str, *, device: str) -> Any:
    """Load a model that has a front end, on an available device."""
    return load_identified_listener(name, device=device)[0]


def load_identified_listener(name: str, *, device: str) -> tuple[Any, dict[str, str]]:
    """Load a model that has a front end, and identify it; see `load_identified_model`."""
    model, identity = load_identified_model(name, device=device)
    if not isinstance(model, ListeningModel):
        raise ParameterError(
            f"{name} has no front end, so it cannot hear a file; tie one to it with "
            "otoscope.models.Listener (docs/howto/own-model.md)"
        )
    return model, identity


def load_identified_model(name: str, *, device: str) -> tuple[Any, dict[str, str]]:
    """Load a model of the zoo, a bundle or a user's function, on an available device.

    Also return what identifies its content whatever its name, see `models.loading.load_identified`.
    """
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise ParameterError(f"device is {device!r}, must be cpu or cuda")
    try:
        torch_device = torch.device(device)
        torch.empty(0, device=torch_device)
    except (RuntimeError, AssertionError) as err:
        reason = str(err).splitlines()[0]
        raise ParameterError(f"device {device!r} cannot be used: {reason}") from err
    model, identity = load_identified(name)
    return model.to(torch_device) if isinstance(model, nn.Module) else model, identity


class Recording:
    """A sound file, read once for one model. Second 0 is the start of the first frame."""

    def __init__(self, path: Path, model: Any, *, padded: bool) -> None:
        y, sr = read_audio(path, sr=model.sample_rate)
        hop, length = model.hop_length, model.patch_frames
        if padded:
            n_frames = (len(y) - 1) // hop + length  # an excerpt may begin with any frame of sound
            y = F.pad(y, (0, length * hop + round(_MARGIN * sr)))
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
        """Seconds 0, every, 2 every, ... at which a whole excerpt may begin."""
        return list(takewhile(lambda start: start <= self.last, (i * every for i in count())))

    def timeline(self, *, around: float | None) -> models.Timeline:
        """Compute the outputs over the whole sound, or around one second."""
        first, y = 0, self._y
        if around is not None:
            self._check(around)
            first, y = self._with_context(around)
        hop = self._model.hop_length
        step = max(1, round(_STEP * self._sr / hop))
        timeline = models.timeline(self._model, y.to(device_of(self._model)), hop=step)
        starts = timeline.starts + first * hop / self._sr
        inside = starts < self.last + hop / self._sr / 2
        return replace(timeline, starts=starts[inside], outputs=timeline.outputs[inside])

    def patch(self, start: float) -> Patch:
        """Cut an excerpt; only the sound around it is prepared, however long the song."""
        self._check(start)
        first, y = self._with_context(start)
        hop = self._model.hop_length
        begin = (round(start * self._sr / hop) - first) * hop / self._sr
        patch: Patch = self._model.patch((y, self._sr), start=begin)
        return replace(patch, start=patch.start + first * hop / self._sr)

    def _check(self, start: float) -> None:
        if not 0 <= start < self.last + self._model.hop_length / self._sr / 2:
            raise ParameterError(
                f"start is {start:g} s, the last excerpt begins at {self.last:.2f} s",
                advice=None if self._padded else PADDED,
            )

    def _with_context(self, start: float) -> tuple[int, Tensor]:
        """Return the sound around an excerpt, after the number of its first frame."""
        hop, context = self._model.hop_length, round(CONTEXT * self._sr)
        first = max(0, (round(start * self._sr) - context) // hop)
        end = round(start * self._sr) + self._model.patch_frames * hop + context
        return first, self._y[first * hop : end]
