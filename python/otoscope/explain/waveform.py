"""Queries of sounds: a waveform with its components, ready to be evaluated, and its picture."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from numbers import Real
from os import PathLike
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope import ops
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain import components as parts_of_sound
from otoscope.explain.components.base import Components, Excerpt, Part
from otoscope.explain.components.mixture import Mixed, mix, require_answer
from otoscope.explain.content.base import Content, SoundSource
from otoscope.explain.design import DEFAULT_DESIGN, MOST_EXACT, SHAPLEY_DESIGNS, draw_design
from otoscope.explain.evaluator import Evaluator
from otoscope.explain.query import Query
from otoscope.explain.segments import Extent, Segmentation, Segments, grid
from otoscope.explain.settings import ExplanationSettings
from otoscope.protocols import InputLayout, ListeningModel, Patch, device_of, dtype_of, read_sound
from otoscope.protocols.patch import as_samples
from otoscope.signal.audio.files import resampled
from otoscope.signal.mel.domain import Compression
from otoscope.signal.mel.filterbank import EmptyFilters
from otoscope.signal.mel.frontend import FrontEnd
from otoscope.signal.mel.presets import librosa_mel

__all__ = [
    "Sounds",
    "Waveform",
    "components_of",
    "hears_sounds",
    "picture_of",
    "segments_beside_components",
]

_RANGE_DB = 80.0  # of the picture
_FRAME_SECONDS = 0.01
_LEAST_FRAMES, _MOST_FRAMES = 32, 600
_RATE_UNKNOWN = 16_000
_SHARED_VARIANTS = 0.25  # of the coalitions: where more of a sound differ, little is shared


@dataclass(frozen=True, eq=False)
class Waveform:
    """A sound to explain, [sample] or [channel, sample], and where it begins in its recording."""

    y: Tensor
    sr: float | None = None
    start: float = 0.0


class Sounds:
    """Keep what an explainer needs for sounds: components, content, and evaluators."""

    def __init__(
        self,
        model: Any,
        evaluate: Evaluator,
        layout: InputLayout | None,
        components: Components | str | None,
        segments: Segmentation,
        content: Content,
    ) -> None:
        self._model, self._plain, self._layout = model, evaluate, layout
        self._segments, self._content = segments, content
        self.components = None if components is None else parts_of_sound.resolve(components)
        is_of_pictures = isinstance(model, ListeningModel) and not hears_sounds(model)
        self._listener = cast(ListeningModel, model) if is_of_pictures else None
        self._evaluators: dict[tuple[int, bool], Evaluator] = {}

    def varied(
        self, segments: Segmentation, content: Content, components: Components | str | None = None
    ) -> Sounds:
        """Return the same for other segments, content or components."""
        other = copy(self)
        other._segments, other._content = segments, content
        if components is not None:
            if self.components is None:
                raise ParameterError("components are those of an explainer that has some already")
            other.components = parts_of_sound.resolve(components)
        return other

    def read(self, value: Any) -> tuple[list[Waveform | Patch], bool] | None:
        """Return the sounds that a user gives, and whether it is one; None for other things.

        Sounds are files, (y, sr), samples, or patches of a model of sounds; for a listening model
        of spectrograms they become patches. With components, tensors of any shape are sounds.
        """
        if (sound := self._read_one(value)) is not None:
            return [sound], True
        is_array = isinstance(value, Tensor | np.ndarray)
        if is_array and self._layout is not None and self._layout.is_sound:
            pictures, is_batch = self._layout.pictures(as_samples("y", value))
            return [_checked(Waveform(picture[:, 0])) for picture in pictures], not is_batch
        if isinstance(value, list | tuple) and value:
            sounds = [self._read_one(item) for item in value]
            if all(sound is not None for sound in sounds):
                return [sound for sound in sounds if sound is not None], False
        return None

    def _read_one(self, value: object) -> Waveform | Patch | None:
        only = self.components is not None or hears_sounds(self._model)
        may_be = only or self._layout is None or self._layout.is_sound
        is_samples = isinstance(value, Tensor | np.ndarray) and may_be and value.ndim == 1
        if self._listener is not None and (is_samples or _is_file_or_rated(value)):
            return excerpt_of(self._listener, value)
        if isinstance(value, str | PathLike):
            value = read_sound(value)
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Real):
            return _checked(Waveform(as_samples("y", value[0]), float(value[1])))
        if isinstance(value, Patch) and only:
            if value.y is None:
                raise ParameterError("the patch has no sound to explain: give (y, sr)")
            return Waveform(value.y, value.sr, value.start)
        if isinstance(value, Tensor | np.ndarray) and (only or is_samples):
            return _checked(Waveform(as_samples("y" if only else "patch", value)))
        return None

    def query(self, sound: Waveform, settings: ExplanationSettings, *, drawn: str) -> Query:
        """Split a sound, and draw the coalitions of its components.

        ``drawn`` is the design that replaces the default for more than 12 components.
        """
        model, content = self._model, self._content
        components = self.components or components_of(self._segments)
        sound = _at_rate_of(model, sound)

        def replacement(y: Tensor, name: str, share: float) -> Tensor:
            return content.of_sound(SoundSource(y, sound.sr, name, share))

        y = sound.y.to("cpu", torch.float64, copy=True)
        excerpt = Excerpt(y, sound.sr, replacement, sound.start)
        mixture, parts = mix(components, excerpt)
        device = device_of(model)
        mixture = mixture.to(device, dtype_of(model, sound.y.dtype))
        kind, n = settings.design, len(parts)
        if kind == DEFAULT_DESIGN and n > MOST_EXACT:
            kind = drawn
        is_shapley = kind in SHAPLEY_DESIGNS
        n_samples, seed = settings.n_samples, settings.seed
        shown, ids, extents = draw_picture(sound, parts)
        return Query(
            shown,
            mixture.kept,
            Segments(ops.SegmentMap(mixture.ids, n), extents),
            mixture.replaced,
            draw_design(kind, n, n_samples=n_samples, seed=seed, device=device),
            replace(
                settings,
                segments=str(components),
                content_space="samples",
                content_description=content.sound_description or content.description,
                design=kind,
                kernel="shapley" if is_shapley else settings.kernel,
                surrogate=kind if is_shapley else settings.surrogate,
            ),
            mixture,
            ids,
        )

    def evaluator(self, query: Query) -> Evaluator | None:
        """Return the evaluator of a sound, which adds the layers up; None for a patch."""
        if query.mixture is None:
            return None
        n_channels = query.mixture.n_channels
        mixed = Mixed(self._plain.model, n_channels, self._layout)
        require_answer(mixed, query.mixture)
        variants = query.mixture.variants(len(query.design.coalitions))
        pays = not n_channels and variants < _SHARED_VARIANTS * len(query.design.coalitions)
        key = n_channels, pays
        if key not in self._evaluators:
            self._evaluators[key] = self._plain.around(mixed, pays=pays)
        return self._evaluators[key]


def _is_file_or_rated(value: object) -> bool:
    """Whether a user gives a file, or (y, sr)."""
    is_pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Real)
    return is_pair or isinstance(value, str | PathLike)


def excerpt_of(model: ListeningModel, sound: object) -> Patch:
    """Make the patch of a sound as long as a model's excerpt; refuse a longer one."""
    rate, hop = model.sample_rate, model.hop_length
    y, _ = read_sound(sound, rate)
    n_samples = getattr(model, "excerpt_samples", model.patch_frames * hop)
    if len(y) >= n_samples + hop:
        raise _too_long(len(y) / rate, n_samples / rate)
    return model.patch((y, rate))


def _too_long(seconds: float, most: float) -> ParameterError:
    return ParameterError(
        f"the sound lasts {seconds:.2f} s, the model hears {most:.2f} s at once; cut an excerpt: "
        "model.patch((y, sr), start=0)"
    )


def hears_sounds(model: object) -> bool:
    """Whether a model declares that it hears waveforms, as `models.WaveformListener` does."""
    return getattr(model, "hears_sounds", False) is True


def segments_beside_components(segments: object) -> ParameterError:
    """Make the error of segments, which cut pictures, beside components, which cut the sound."""
    given = segments if isinstance(segments, str) else type(segments).__name__
    return ParameterError(
        f"segments is {given!r} beside components, which are occluded in their place",
        advice=Advice("leave out ", Argument("segments"), " or ", Argument("components")),
    )


def components_of(segments: Segmentation) -> Components:
    """Return the components of a sound that a segmentation of spectrograms means."""
    if isinstance(segments, grid):
        named = [
            cut
            for cut, is_cut in (
                (parts_of_sound.time(segments.n_time), segments.n_time > 1 or segments.n_mel == 1),
                (parts_of_sound.bands(segments.n_mel), segments.n_mel > 1),
            )
            if is_cut
        ]
        return named[0] * named[1] if len(named) > 1 else named[0]
    events = {"beats()": parts_of_sound.beats, "onsets()": parts_of_sound.onsets}
    if str(segments) in events:
        return events[str(segments)]()
    raise ParameterError(
        f"segments {segments} cut spectrograms, and this is a sound",
        advice=Advice("give components, such as ", Argument("components", "time:10")),
    )


def _checked(sound: Waveform) -> Waveform:
    y, sr = sound.y.detach().clone(), sound.sr  # the caller may write into its own
    if y.ndim not in (1, 2) or y.numel() == 0 or not y.is_floating_point():
        raise ParameterError(
            f"y has shape {tuple(y.shape)} and dtype {y.dtype}; a sound is [sample] or "
            "[channel, sample], not empty, floating"
        )
    if y.ndim == 2 and y.shape[0] > y.shape[1]:
        raise ParameterError(
            f"y has {y.shape[0]} channels of {y.shape[1]} samples; for [sample, channel] pass y.T"
        )
    if bad := int((~y.isfinite()).sum()):
        raise ParameterError(f"y: {bad} of {y.numel()} samples are NaN or infinite")
    if sr is not None and not 0 < sr < math.inf:
        raise ParameterError(f"sr is {sr}, must be a sampling rate in Hz, > 0")
    return replace(sound, y=y)


def _at_rate_of(model: Any, sound: Waveform) -> Waveform:
    """Resample a sound to the model's rate; refuse another length or more channels than its."""
    if hears_sounds(model) and sound.y.ndim == 2:
        raise ParameterError(
            f"the sound has {len(sound.y)} channels, the model hears one: mix it with y.mean(0)"
        )
    rate, n_samples = getattr(model, "sample_rate", None), getattr(model, "n_samples", None)
    if isinstance(rate, Real):
        y = sound.y if sound.sr is None else resampled(sound.y.cpu(), sound.sr, float(rate))
        sound = replace(sound, y=y, sr=float(rate))
        if isinstance(n_samples, int) and y.shape[-1] != n_samples:
            raise _too_long(y.shape[-1] / float(rate), n_samples / float(rate))
    return sound


def draw_picture(
    sound: Waveform, parts: Sequence[Part]
) -> tuple[Patch, Tensor, tuple[Extent, ...]]:
    """Draw the sound as a patch [frame, mel], with the component of each cell, and name them.

    A cell that several sources share belongs to the one with the most energy in it.
    """
    front_end, hop = _front_end(sound)
    patch, mono = picture_of(sound), _mono(sound)
    n_frames, n_mels = patch.values.shape
    rate = sound.sr or float(_RATE_UNKNOWN)
    centres = torch.arange(n_frames, dtype=torch.float64) + 0.5
    frame = centres.clamp(max=len(mono) / hop - 1e-6) * hop  # the last lies inside the sound
    boxes, owners = [], []
    for part in parts:
        first, end = part.first, part.first + part.kept.shape[-1]
        span = (first, end) if part.seconds is None else tuple(s * rate for s in part.seconds)
        frames = _bounds((frame >= span[0]) & (frame < span[1]), sum(span) / 2 / hop)
        mels = (0, n_mels)
        if part.hz is not None:
            inside = (front_end.mel_hz >= part.hz[0]) & (front_end.mel_hz < part.hz[1])
            centre = np.interp(sum(part.hz) / 2, front_end.mel_hz, np.arange(n_mels))
            mels = _bounds(inside, float(centre))
        boxes.append((frames, mels))
        owner = torch.full((n_frames, n_mels), -1.0)
        box = (slice(*frames), slice(*mels))
        owner[box] = 0.0
        if part.is_source:
            kept = part.kept if part.kept.ndim == 1 else part.kept.mean(0)
            alone = F.pad(kept.float(), (first, len(mono) - end))
            owner[box] = _energies(front_end, alone)[box]
        owners.append(owner)
    ids = torch.stack(owners).argmax(0).int()
    return (
        patch,
        ids,
        tuple(_extent(part, *box, sound) for part, box in zip(parts, boxes, strict=True)),
    )


def picture_of(sound: Waveform) -> Patch:
    """Draw a sound as a mel spectrogram in dB below its loudest cell, as natural logarithms."""
    front_end, hop = _front_end(sound)
    mono = _mono(sound)
    log_mel = _energies(front_end, mono).log()
    return Patch(
        log_mel.clamp(min=float(log_mel.max()) - _RANGE_DB / 10 * math.log(10)),
        y=None if sound.sr is None else mono,
        sr=sound.sr,
        hop_length=hop,
        mel_hz=None if sound.sr is None else front_end.mel_hz,
        start=sound.start,
        layout="frame mel",
    )


def _mono(sound: Waveform) -> Tensor:
    y = sound.y.detach().cpu().float()
    return y if y.ndim == 1 else y.mean(0)


def _front_end(sound: Waveform) -> tuple[FrontEnd, int]:
    rate = round(sound.sr or _RATE_UNKNOWN)
    n_samples = sound.y.shape[-1]
    hop = min(round(rate * _FRAME_SECONDS), n_samples // _LEAST_FRAMES)
    hop = max(1, hop, math.ceil(n_samples / _MOST_FRAMES))
    n_fft = max(32, 2 ** round(math.log2(max(1, rate * 0.046))))
    n_mels = min(64, n_fft // 16)
    return (
        librosa_mel(
            sr=max(2, rate),
            n_fft=n_fft,
            hop_length=hop,
            n_mels=n_mels,
            compression=Compression("ln", 1e-10),
        ),
        hop,
    )


def _energies(front_end: FrontEnd, mono: Tensor) -> Tensor:
    """Compute energies [frame, mel] in frames centred on the samples that they stand for."""
    hop = front_end.hop_length
    n_frames = math.ceil(len(mono) / hop)
    shifted = F.pad(mono[hop // 2 :], (0, n_frames * hop))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyFilters)
        return front_end.mel(shifted)[:n_frames].clamp(min=1e-12)


def _bounds(inside: Tensor, centre: float) -> tuple[int, int]:
    """Return the first index inside and one past the last; the nearest where none is inside."""
    at = inside.nonzero()[:, 0]
    if len(at):
        return int(at[0]), int(at[-1]) + 1
    nearest = min(max(0, int(centre)), len(inside) - 1)
    return nearest, nearest + 1


def _extent(part: Part, frames: tuple[int, int], mels: tuple[int, int], sound: Waveform) -> Extent:
    seconds = hz = None
    if sound.sr is not None:
        hz = part.hz or (0.0, sound.sr / 2)
        first, last = part.seconds or (0.0, sound.y.shape[-1] / sound.sr)
        seconds = (sound.start + first, sound.start + last)
    names = [text for _, text in part.labels]
    if part.is_source:  # shares its place with others, so the name says it
        places = {"time": seconds and "{:.2f}-{:.2f} s".format(*seconds)}
        places["band"] = hz and "{:.0f}-{:.0f} Hz".format(*hz)
        names = [places.get(kind) or text for kind, text in part.labels]
    return Extent(", ".join(names), frames, mels, seconds, hz)
