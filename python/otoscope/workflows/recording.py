"""Sound files as a listening model receives them: outputs over time, and excerpts to explain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otoscope import models
from otoscope.errors import ParameterError
from otoscope.foreign import files_below
from otoscope.models.loading import load_identified
from otoscope.protocols import ListeningModel, Patch, device_of
from otoscope.protocols.listening import CONTEXT, PADDED, depends_on_clip
from otoscope.signal import Compression, FrontEnd
from otoscope.signal.audio.files import SamplesOnDisk, samples
from otoscope.signal.audio.truncation import truncation

__all__ = [
    "PADDED",
    "SUFFIXES",
    "FolderNotes",
    "Recording",
    "load_identified_listener",
    "load_identified_model",
    "load_listening_model",
    "sound_files",
]

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}

_STEP = 0.25  # seconds from one excerpt to the next in an output over time
_MARGIN = 1.0  # seconds that a front end may need beyond its last frame: more than any window


def sound_files(sounds: tuple[Path, ...]) -> list[Path]:
    """List sound files, each once, in the order given; folders are searched, see `files_below`.

    A folder without sound files is refused, also beside others.
    """
    files: dict[Path, None] = {}  # a file that is named twice is explained once
    for sound in sounds:
        if not sound.exists():
            raise ParameterError(f"{sound} is not there")
        inside = files_below(sound, SUFFIXES) if sound.is_dir() else [sound]
        if not inside:
            raise ParameterError(f"{sound}: no sound files ({', '.join(sorted(SUFFIXES))})")
        files |= dict.fromkeys(inside)
    return list(files)


class FolderNotes:
    """Notes on the files of a folder: why some are skipped, what some lack.

    ``skipped`` and ``truncated`` go by the name of a file, relative to the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.skipped: dict[str, ParameterError] = {}
        self.truncated: dict[str, str] = {}

    def name(self, file: Path) -> str:
        """Name a file as it is listed."""
        if self.folder in file.parents:
            return file.relative_to(self.folder).as_posix()
        return file.name if file == self.folder else str(file)

    @contextmanager
    def reading(self, file: Path) -> Iterator[None]:
        """Skip a file if the block, which reads it, refuses it; otherwise note what it lacks."""
        name = self.name(file)
        try:
            yield
        except OSError as err:
            if err.errno is None or (err.filename and Path(err.filename) != file):
                raise  # of the model, not of this file
            is_lost = file.is_symlink() and not file.exists()
            reason = f"cannot be read: {err.strerror or err}"
            self.skipped[name] = ParameterError("is a link to nothing" if is_lost else reason)
        except ParameterError as err:
            self.skipped[name] = err.without(file)
        else:
            if text := truncation(file):
                self.truncated[name] = text

    def to_dict(self) -> dict[str, dict[str, str]]:
        """Convert to JSON's types: reasons and lacks by file."""
        reasons = {name: str(reason) for name, reason in self.skipped.items()}
        return {"skipped": reasons, "truncated": dict(self.truncated)}

    def none_usable(self, message: str) -> ParameterError:
        """Make the error of a folder of which nothing can be used."""
        if not self.skipped:
            return ParameterError(message)
        name, first = next(iter(self.skipped.items()))
        return first.within(f"{message}; {len(self.skipped)} skipped, the first: {name}")


def load_listening_model(name: str, *, device: str) -> Any:
    """Load a model that has a front end, on an available device."""
    return load_identified_listener(name, device=device)[0]


def load_identified_listener(name: str, *, device: str) -> tuple[Any, dict[str, str]]:
    """Load a model that has a front end, and identify it; see `load_identified_model`."""
    model, identity = load_identified_model(name, device=device)
    if not isinstance(model, ListeningModel):
        raise ParameterError(
            f"{name} has no front end, so it cannot hear a file; tie one to it with "
            "otoscope.models.Listener, or, if it takes waveforms, its sampling rate with "
            "otoscope.models.WaveformListener (docs/howto/own-model.md)"
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
    """A sound file, read once for one model. Second 0 is the start of the first frame.

    Memory does not grow with the length of the sound beyond ten minutes. ``padded`` is None where a
    user cannot choose: then no error advises it.
    """

    def __init__(self, path: Path, model: Any, *, padded: bool | None) -> None:
        self._model, self._sr, self._padded = model, model.sample_rate, padded
        self.sr: float = model.sample_rate
        """Sampling rate, in Hz."""
        self._y = samples(path, sr=self._sr)
        hop, length = model.hop_length, model.patch_frames
        self._n = n = len(self._y)
        if padded:
            n_frames = (n - 1) // hop + length  # an excerpt may begin with any frame of sound
            self._n += length * hop + round(_MARGIN * self._sr)
        elif n < (length - 1) * hop:
            n_frames = 0  # too few for some front ends to say that they are
        else:
            n_frames = self._count_frames()
        if n_frames < length:
            raise ParameterError(
                f"the sound lasts {n / self._sr:.2f} s, too short for an excerpt of "
                f"{length * hop / self._sr:.2f} s",
                advice=PADDED if padded is False else None,
            )
        self.last = (n_frames - length) * hop / self._sr

    @property
    def offset(self) -> float:
        """Seconds of the recording where the first frame begins: not 0 in every front end."""
        return self.patch(0.0).start

    def starts(self, every: float) -> list[float]:
        """Seconds 0, every, 2 every, ... at which a whole excerpt may begin."""
        return list(takewhile(lambda start: start <= self.last, (i * every for i in count())))

    def timeline(self, *, around: float | None) -> models.Timeline:
        """Compute the outputs over the whole sound, or around one second."""
        hop = self._model.hop_length
        step = max(1, round(_STEP * self._sr / hop))
        if around is not None:
            self._check(around)
            timeline = self._part(*self._context(around), step)
        else:
            timeline = models.timeline(self._model, _Padded(self), hop=step)
        inside = timeline.starts < self.last + hop / self._sr / 2
        return replace(timeline, starts=timeline.starts[inside], outputs=timeline.outputs[inside])

    def patch(self, start: float) -> Patch:
        """Cut an excerpt; only the sound around it is prepared, however long the song."""
        self._check(start)
        first, end = self._context(start)
        hop = self._model.hop_length
        begin = (round(start * self._sr / hop) - first) * hop / self._sr
        sound = self._sound(first * hop, end)
        patch: Patch = self._model.patch((sound, self._sr), start=begin)
        return replace(patch, start=patch.start + first * hop / self._sr)

    def patches(self, starts: Sequence[float]) -> list[Patch]:
        """Cut excerpts that begin near each other, as `patch` does; their sound is prepared once.

        Where values depend on earlier frames, each is prepared alone.
        """
        if not starts or not (_is_local(self._model) or depends_on_clip(self._model)):
            return [self.patch(start) for start in starts]
        for start in starts:
            self._check(start)
        first, end = self._context(min(starts))[0], self._context(max(starts))[1]
        hop, sr = self._model.hop_length, self._sr
        begins = [(round(start * sr / hop) - first) * hop / sr for start in starts]
        sound = self._sound(first * hop, end)
        patches: list[Patch] = self._model.patches((sound, sr), begins)
        return [replace(patch, start=patch.start + first * hop / sr) for patch in patches]

    def sound(self, start: float) -> Patch:
        """Cut an excerpt as a sound alone: the samples that its frames are computed from."""
        patch, y = self.patch(start), self.cut(self._y, start)
        hop = self._model.hop_length
        return replace(patch, y=y, start=round(start * self._sr / hop) * hop / self._sr)

    def cut(self, y: Tensor | SamplesOnDisk, start: float) -> Tensor:
        """Cut the samples of an excerpt from another sound of this length; silence fills it up."""
        hop = self._model.hop_length
        n: int = getattr(self._model, "excerpt_samples", self._model.patch_frames * hop)
        first = round(start * self._sr / hop) * hop
        part = y[first : min(first + n, self.n_samples)]
        return F.pad(part, (0, n - len(part)))

    @property
    def n_samples(self) -> int:
        """Number of samples of the file, at the model's rate."""
        return len(self._y)

    def _count_frames(self) -> int:
        """Count the frames of the sound by those of its beginning: one more per hop."""
        hop = self._model.hop_length
        if getattr(self._model, "per_excerpt", False):
            later: int = (self._n - self._model.excerpt_samples) // hop
            return self._model.patch_frames + later if later >= 0 else 0
        n_hops = self._model.patch_frames + math.ceil(_MARGIN * self._sr / hop)
        n_beginning = min(self._n, self._n % hop + n_hops * hop)
        beginning = self._sound(0, n_beginning).to(device_of(self._model))
        with torch.no_grad():
            n_frames: int = len(self._model.prepare(beginning))
        n_later: int = (self._n - n_beginning) // hop
        return n_frames + n_later

    def _part(self, first: int, end: int, step: int) -> models.Timeline:
        """Compute the outputs from frame ``first`` to sample ``end``."""
        hop = self._model.hop_length
        y = self._sound(first * hop, end).to(device_of(self._model))
        timeline = models.timeline(self._model, y, hop=step)
        return replace(timeline, starts=timeline.starts + first * hop / self._sr)

    def _check(self, start: float) -> None:
        if not 0 <= start < self.last + self._model.hop_length / self._sr / 2:
            raise ParameterError(
                f"start is {start:g} s, the last excerpt begins at {self.last:.2f} s",
                advice=PADDED if self._padded is False else None,
            )

    def _context(self, start: float) -> tuple[int, int]:
        """Return the first frame, and one past the last sample, around an excerpt."""
        if depends_on_clip(self._model):
            return 0, self._n
        hop, context = self._model.hop_length, round(CONTEXT * self._sr)
        first = max(0, (round(start * self._sr) - context) // hop)
        return first, round(start * self._sr) + self._model.patch_frames * hop + context

    def _sound(self, first: int, end: int) -> Tensor:
        """Return samples first .. end - 1, silence beyond the file if it is padded."""
        y = self._y[first:end]
        return F.pad(y, (0, min(end, self._n) - first - len(y)))


def _is_local(model: Any) -> bool:
    """Whether a frame's values depend on its window alone, not on the loudest or earlier frames."""
    front_end = getattr(model, "front_end", None)
    return (
        isinstance(model, models.Listener)
        and not model.per_excerpt
        and isinstance(front_end, FrontEnd)
        and isinstance(front_end.compression, Compression)
        and not front_end.compression.is_relative
    )


class _Padded:
    """Samples of a recording with the silence behind it, read when they are needed."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __len__(self) -> int:
        return self._recording._n

    def __getitem__(self, part: slice) -> Tensor:
        first, end, _ = part.indices(len(self))
        return self._recording._sound(first, end)
