"""Components by source: stems that a user has, or a harmonic/percussive split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import scipy  # loads its parts when they are used
import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.components.base import COMPONENTS, Components, Excerpt, Part
from otoscope.protocols.patch import as_samples
from otoscope.signal.audio.files import channels_of, read_audio, read_channels, resampled
from otoscope.signal.listen import sound_of, spectrum_of, window_length

__all__ = ["Stems", "hpss", "stem_files", "stems", "tolerant"]


@dataclass(frozen=True, eq=False)
class Stems(Components):
    """Sources that a user has; ``note`` is said where they do not add up to the sound."""

    sounds: Mapping[str, Any]
    rest: bool = False
    note: str = ""
    limit_db: float = -60.0  # of the difference from the sound

    rank = 0

    def __str__(self) -> str:
        return f"stems({', '.join(self.sounds)}{', rest' if self.rest else ''})"

    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Return the stems as parts, each beside its own content."""
        if part.labels:
            raise ParameterError(
                f"components {self} split the sound alone; cross one list of stems with others"
            )
        stems = {name: self._stem(name, sound, excerpt) for name, sound in self.sounds.items()}
        error = excerpt.y - torch.stack(list(stems.values())).sum(0)
        if self.rest:
            stems["rest"] = error
        else:
            self._require_sum(error, excerpt.y)
            # What is left is the rounding of files: it goes to the loudest.
            loudest = max(stems, key=lambda name: float(stems[name].square().sum()))
            stems[loudest] = stems[loudest] + error
        share = part.share / len(stems)
        return [
            Part(stem, excerpt.replace(stem, name, share), labels=(("source", name),), share=share)
            for name, stem in stems.items()
        ]

    def _require_sum(self, error: Tensor, sound: Tensor) -> None:
        if (level := _level_db(error, sound)) <= self.limit_db:
            return
        side = "below" if level < 0 else "above"
        raise ParameterError(
            f"{self} do not sum to the sound: the difference is {abs(level):.1f} dB {side} it "
            f"(other start, gain or mix?{self.note})",
            advice=Advice(
                "explain the sum of the stems, or take the difference as a component with ",
                Argument("rest", True),
            ),
        )

    def _stem(self, name: str, sound: Any, excerpt: Excerpt) -> Tensor:
        """Return a stem at the rate of the excerpt, of its length and channels."""
        y, sr = sound if isinstance(sound, tuple) else (sound, excerpt.sr)
        if isinstance(y, str | PathLike):
            y, sr = read_channels(y) if excerpt.y.ndim == 2 else read_audio(y)
        stem = as_samples(f"stem {name!r}", y).detach().cpu().double()
        if stem.ndim != excerpt.y.ndim or stem.shape[:-1] != excerpt.y.shape[:-1]:
            raise ParameterError(
                f"stem {name!r} is {channels_of(stem)}, the sound {channels_of(excerpt.y)}; give "
                "both alike: y.mean(0) mixes channels to mono"
            )
        if bad := int((~stem.isfinite()).sum()):
            raise ParameterError(f"stem {name!r}: {bad} samples are NaN or infinite")
        if sr is not None and excerpt.sr is not None:
            stem = resampled(stem, sr, excerpt.sr)
        n = excerpt.n_samples
        if stem.shape[-1] != n:  # of the whole recording
            first = round(excerpt.start * (excerpt.sr or 0))
            stem = stem[..., first : first + n]
        if stem.shape[-1] != n:
            raise ParameterError(
                f"stem {name!r} has {stem.shape[-1]} samples, the sound {n}; cut both alike"
            )
        return stem


@dataclass(frozen=True)
class _HarmonicPercussive(Components):
    margin: float

    rank = 1

    def __str__(self) -> str:
        return "hpss()" if self.margin == 1 else f"hpss({self.margin:g})"

    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Mask the spectrum of a part by soft masks; margins above 1 leave a rest."""
        n_fft = window_length(excerpt.rate(str(self)))
        spectrum = spectrum_of(part.kept, n_fft)
        mono = spectrum if spectrum.ndim == 2 else spectrum.mean(0)
        along_time, along_frequency = (
            torch.from_numpy(scipy.ndimage.median_filter(mono.abs().numpy(), size, mode="reflect"))
            for size in ((_MEDIAN, 1), (1, _MEDIAN))
        )
        masks = {
            "harmonic": _soft_mask(along_time, along_frequency, self.margin),
            "percussive": _soft_mask(along_frequency, along_time, self.margin),
        }
        if self.margin > 1:
            masks["rest"] = 1 - masks["harmonic"] - masks["percussive"]
        share, parts = part.share / len(masks), []
        for name, mask in masks.items():
            kept = sound_of(spectrum * mask, n_fft, part.kept.shape[-1])
            labels = (*part.labels, ("source", name))
            key = ", ".join(text for _, text in labels)
            replaced = excerpt.replace(kept, key, share)
            parts.append(replace(part, kept=kept, replaced=replaced, labels=labels, share=share))
        return parts


def stems(sounds: Mapping[str, Any] | str | PathLike[str], *, rest: bool = False) -> Components:
    """Split by source, with stems that add up to the sound.

    Parameters
    ----------
    sounds : mapping of str to sound, or path of a folder
        Sounds by name: Tensor or array [sample] or [channel, sample], ``(y, sr)`` or a file, with
        the channels of the sound, as long as it or its whole recording. A folder gives
        its sound files.
    rest : bool
        Add what the stems lack of the sound as the component "rest".

    Returns
    -------
    Components
        One component per source. If they differ from the sound by 60 dB or less, the difference is
        refused with its level; less is added to the loudest.

    References
    ----------
    Haunschmid et al. (2020) :cite:`haunschmid2020`; crossed with time, Sotirou et al. (2024)
    :cite:`sotirou2024`.

    Examples
    --------
    >>> str(stems({"vocals": torch.zeros(8), "drums": torch.ones(8)}))
    'stems(vocals, drums)'
    """
    if isinstance(sounds, str | PathLike):
        if not Path(sounds).is_dir():
            raise ParameterError(f"sounds is {str(sounds)!r}, must be a folder of stems")
        sounds = stem_files([Path(sounds)])
    if not isinstance(sounds, Mapping) or not sounds:
        raise ParameterError(
            f"sounds is {type(sounds).__name__} of no stems; give names with sounds, such as "
            "{'vocals': y, 'drums': y2}"
        )
    return Stems({str(name): sound for name, sound in sounds.items()}, rest)


def tolerant(components: Components | None) -> Components | None:
    """Return components whose stems may differ from the sound, for a sound that is changed."""
    if components is None or isinstance(components, Stems):
        return components and replace(components, limit_db=math.inf)
    parts: Any = {
        name: tolerant(part)
        for name, part in vars(components).items()
        if isinstance(part, Components)
    }
    return replace(components, **parts) if parts else components  # type: ignore[type-var]


def stem_files(paths: Sequence[Path], *, of: Path | None = None) -> dict[str, Path]:
    """List stems by name: files, and those in folders, except the mix that they are ``of``."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ParameterError(f"stems: {path} is not there")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [file for file in inside if file == path or file.suffix.lower() in _SUFFIXES]
    named: dict[str, Path] = {}
    for file in files:
        if of is not None and file.samefile(of):
            continue
        if (other := named.setdefault(file.stem, file)) is not file:
            raise ParameterError(f"stems {other} and {file} have one name; rename one of them")
    if not named:
        raise ParameterError(f"stems: no sound files in {', '.join(map(str, paths))}")
    return named


def hpss(margin: float = 1.0) -> Components:
    """Split into a harmonic and a percussive part by median filters, as librosa does.

    Parameters
    ----------
    margin : float
        Margin of the masks, >= 1; above 1, the remainder is the component "rest".

    Returns
    -------
    Components
        Components "harmonic" and "percussive", and "rest".

    References
    ----------
    Fitzgerald (2010) and Driedger et al. (2014), as ``librosa.decompose.hpss`` follows them.

    Examples
    --------
    >>> str(hpss())
    'hpss()'
    """
    if not 1 <= margin < float("inf"):
        raise ParameterError(f"margin is {margin}, must be >= 1")
    return _HarmonicPercussive(margin)


_MEDIAN = 31  # frames or bins
_SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}


def _soft_mask(wanted: Tensor, other: Tensor, margin: float) -> Tensor:
    """Return the fraction of power that is wanted; half of a cell that has neither."""
    largest = torch.maximum(wanted, margin * other).clamp(min=1e-300)  # no overflow of squares
    powers = [(part / largest).square() for part in (wanted, margin * other)]
    empty = 0.5 if margin == 1 else 0.0
    total = powers[0] + powers[1]
    return torch.where(total > 0, powers[0] / total.clamp(min=1e-300), empty)


def _level_db(error: Tensor, sound: Tensor) -> float:
    """Return the level of a difference against a sound, in dB."""
    power, whole = float(error.square().sum()), float(sound.square().sum())
    if power == 0:
        return -math.inf
    return math.inf if whole == 0 else 10 * math.log10(power / whole)


COMPONENTS.add("hpss", hpss, "harmonic and percussive part")
COMPONENTS.add("stems", stems, "sources, in Python only", "")
