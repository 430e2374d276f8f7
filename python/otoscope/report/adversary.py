"""The page of an adversary: original, adversary and difference to hear and to see."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from otoscope.attack.evaluation import Evaluation
from otoscope.errors import ParameterError
from otoscope.records import replacing, to_json, versions
from otoscope.report._facts import Fact
from otoscope.report._picture import Tick, mask_png, polyline, ticks
from otoscope.report._render import in_script, render
from otoscope.report._sounds import Sound, data_uri
from otoscope.report.adversary_words import aim, cautions, facts, sentence
from otoscope.signal import encode_audio, stft

__all__ = ["save_adversary"]

_RANGE_DB = 90.0  # from the loudest bin of the original down to what is drawn as nothing
_COLUMNS = 800


@dataclass(frozen=True)
class _Spectrum:
    """A picture of one sound: what it shows, its mask's name and PNG, frames and bins."""

    label: str
    key: str
    png: str
    size: tuple[int, int]


@dataclass(frozen=True)
class _Steps:
    """The confidence over steps, as a path in percent, and what it is measured against."""

    path: str
    step_ticks: list[Tick]
    threshold: float | None


def save_adversary(
    found: Evaluation,
    path: str | os.PathLike[str],
    sounds: tuple[Tensor, Tensor],
    *,
    model: str = "",
    title: str = "An adversary",
    start: float = 0.0,
    notes: Sequence[str] = (),
) -> None:
    """Write the page: one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    found : Evaluation
        What was measured.
    path : str or PathLike
        Ends in .html by custom. Written whole or not at all.
    sounds : (Tensor [sample], Tensor [sample])
        Original and adversary, the latter as read from its file; between -1 and 1, at ``found.sr``.
    model : str
        What the model is called.
    title : str
        What was attacked: a file's name. Any text; it is escaped.
    start : float
        Second of the recording at which the excerpt begins.
    notes : sequence of str
        More that a reader must know.

    Raises
    ------
    ParameterError
        If ``path`` is a folder, or the sounds are not of one length.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_adversary(found, "adv.html", (x, y))  # doctest: +SKIP
    """
    original, adversary = sounds
    if original.shape != adversary.shape or original.ndim != 1:
        raise ParameterError(
            f"original has shape {tuple(original.shape)}, adversary {tuple(adversary.shape)}; "
            "both must be the same [sample]"
        )
    with replacing(Path(path)) as draft:
        gain_db = _gain_db(original, adversary)
        end = start + found.seconds
        content = {
            "title": title,
            "about": f"Excerpt {start:.2f}–{end:.2f} s" + (f" · {model}" if model else ""),
            "sentence": sentence(found, model=model or "the model"),
            "cautions": [*notes, *cautions(found)],
            "heard": _sounds(found, original, adversary, gain_db),
            "spectra": _spectra(original, adversary, found.sr),
            "time_ticks": ticks(start, end),
            "khz_ticks": [t for t in ticks(0, found.sr / 2000, most=4) if 5 < t.at < 95],
            "steps": _steps(found),
            "value_ticks": ticks(0, 1, most=4),
            "found": found,
            "aim": aim(found),
            "facts": [
                *facts(found, model=model, start=start),
                *(Fact(f"Version of {name}", version) for name, version in versions().items()),
            ],
            "json": in_script(to_json(found)),
        }
        draft.write_text(render("adversary.html", content), "utf-8")


def _gain_db(original: Tensor, adversary: Tensor) -> int | None:
    """As loud as the original, within full scale, in whole dB; None where nothing was added."""
    difference = (adversary - original).double()
    if not bool(difference.any()):
        return None
    louder = float(original.double().norm() / difference.norm())
    return math.floor(20 * math.log10(min(louder, 0.99 / float(difference.abs().max()))))


def _sounds(
    found: Evaluation, original: Tensor, adversary: Tensor, gain_db: int | None
) -> list[Sound]:
    """Lossless, for a lossy code may undo an adversary."""
    clips = [
        ("original", "Original", f"“{found.heard_before}”", original),
        ("adversary", "Adversary", f"“{found.heard_after}”", adversary),
    ]
    if gain_db is not None:
        louder = (adversary - original) * 10 ** (gain_db / 20)
        clips.append(("difference", f"Difference, {gain_db} dB louder", "", louder))
    return [
        Sound(
            key,
            label,
            answer,
            0,
            100,
            data_uri("audio/flac", encode_audio(y, sr=found.sr, format="FLAC", subtype="PCM_16")),
        )
        for key, label, answer, y in clips
    ]


def _spectra(original: Tensor, adversary: Tensor, sr: float) -> list[_Spectrum]:
    """Log-spectrograms on one scale: that of the original."""
    sounds = torch.stack([original, adversary, adversary - original]).double()
    n_fft = 1024 if sr >= 16000 else 512
    hop = max(n_fft // 4, math.ceil(sounds.shape[1] / _COLUMNS))
    window = torch.hann_window(n_fft, dtype=torch.float64)
    level_db = 20 * stft(sounds, window=window, hop_length=hop, center=True).abs().log10()
    shown = (1 + (level_db - level_db[0].max()) / _RANGE_DB).clamp(0, 1) ** 1.5  # quiet bins recede
    keys = ("original", "adversary", "difference")
    return [
        _Spectrum(key.capitalize(), f"spectrum-{key}", mask_png(values), tuple(values.shape))
        for key, values in zip(keys, shown, strict=True)
    ]


def _steps(found: Evaluation) -> _Steps | None:
    """Nothing where no step was taken."""
    last = len(found.confidence) - 1
    if last < 1:
        return None
    at = [100 * step / last for step in range(last + 1)]
    return _Steps(
        polyline(at, [100 * value for value in found.confidence]),
        [tick for tick in ticks(0, last, most=6) if "." not in tick.label],
        found.threshold,
    )
