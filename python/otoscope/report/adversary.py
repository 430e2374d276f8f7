"""The page of an adversary: original, adversary and difference, to hear and to see."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.attack.evaluation import Evaluation
from otoscope.errors import ParameterError
from otoscope.records import to_json
from otoscope.report.geometry import Panel, mask_png, polyline
from otoscope.report.methods.paragraphs import adversary_methods
from otoscope.report.numbers import UNKNOWN, Tick, decibels, decimals, number, ticks
from otoscope.report.pages import Fact, in_script, save_page, version_facts
from otoscope.report.sounds import Sound, lossless_uri
from otoscope.signal import stft

__all__ = [
    "FLAT",
    "aim",
    "cautions",
    "facts",
    "is_flat",
    "khz_ticks",
    "panels",
    "save_adversary",
    "sentence",
    "sounds_of",
]

FLAT = (
    "No step changed the confidence at all: the model’s gradient is 0 "
    "there, as where outputs are saturated or a threshold is applied. This says nothing of its "
    "robustness: attack logits before the last sigmoid or softmax, or begin elsewhere (restarts)."
)
_RANGE_DB = 90.0  # from the loudest bin of the original down to an empty pixel
_COLUMNS = 800
_AUDIBLE_DB = 20.0  # noise this near to a segment's level is heard in most music


def save_adversary(  # noqa: PLR0913 - what the page says, all keyword-only
    evaluation: Evaluation,
    path: str | os.PathLike[str],
    sounds: tuple[Tensor, Tensor],
    *,
    model: str = "",
    method: str = "",
    title: str = "An adversary",
    start: float = 0.0,
    notes: Sequence[str] = (),
) -> None:
    """Write the page of an adversary: one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    evaluation : Evaluation
        Measures of the adversary.
    path : str or PathLike
        File to write, whole or not at all; ends in .html by custom.
    sounds : (Tensor [sample], Tensor [sample])
        Original and adversary, the latter as read from its file, in [-1, 1], at
        ``evaluation.sr``.
    model : str
        Name of the model.
    method : str
        Name of the attack, as ``otoscope attack --method`` takes it.
    title : str
        Heading, the name of the attacked file for example. Any text; it is escaped.
    start : float
        Second of the recording at which the excerpt begins.
    notes : sequence of str
        Sentences to print with the cautions.

    Raises
    ------
    ParameterError
        If ``path`` is a folder, or the sounds are not of one length.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_adversary(evaluation, "adv.html", (x, y))  # doctest: +SKIP
    """
    original, adversary = sounds
    if original.shape != adversary.shape or original.ndim != 1:
        raise ParameterError(
            f"original has shape {tuple(original.shape)}, adversary {tuple(adversary.shape)}; "
            "both must be the same [sample]"
        )
    end = start + evaluation.seconds
    page = _AdversaryPage(
        title=title,
        about=f"Excerpt {start:.2f}–{end:.2f} s" + (f" · {model}" if model else ""),
        sentence=sentence(evaluation, model=model or "the model"),
        cautions=[*notes, *cautions(evaluation)],
        sounds=sounds_of(original, adversary, evaluation.sr, _heard(evaluation)),
        panels=panels(original, adversary, evaluation.sr),
        time_ticks=ticks(start, end),
        time_unit="s",
        khz_ticks=khz_ticks(evaluation.sr),
        frequency_unit="kHz",
        confidence=_confidence_chart(evaluation),
        value_ticks=ticks(0, 1, most=4),
        aim=aim(evaluation),
        low_pass=[
            _LowPassRow(
                f"{row.cutoff_hz:,.0f} Hz",
                row.original,
                decimals(row.confidence_original),
                row.adversary,
                decimals(row.confidence_adversary),
            )
            for row in reversed(evaluation.low_pass)
        ],
        facts=[
            *facts(evaluation, model=model, start=start),
            *version_facts(),
        ],
        json=in_script(to_json(evaluation)),
    )
    made = adversary_methods(evaluation, model=model, method=method)
    save_page(page, "adversary.html", path, methods=made)


def aim(evaluation: Evaluation) -> str:
    """Name the class that the confidences are of, in quotes, or "anything but" one."""
    if evaluation.targeted:
        return f"“{evaluation.aim}”"
    return (
        f"“{evaluation.label_after}”" if evaluation.success else f"anything but “{evaluation.aim}”"
    )


def sentence(evaluation: Evaluation, *, model: str = "the model") -> str:
    """Say what the model heard before and after, and whether the bound held: two sentences."""
    confidence = (
        f"{number(evaluation.confidence_before)}, now {number(evaluation.confidence_after)}"
    )
    before, after = evaluation.label_before, evaluation.label_after
    if evaluation.success:
        heard = (
            f"Fooled: {model} heard “{before}” and hears “{after}” in the file "
            f"(confidence {confidence})."
        )
    else:
        heard = (
            f"Not fooled: {model} hears “{after}” in the file "
            f"(confidence in {aim(evaluation)} {confidence})."
        )
    return f"{heard} {_bound(evaluation)}"


def cautions(evaluation: Evaluation) -> list[str]:
    """List reasons for caution with the result, in sentences."""
    notes = []
    if is_flat(evaluation.confidence, success=evaluation.success):
        notes.append(FLAT)
    if evaluation.success_before_writing and not evaluation.success:
        notes.append("Rounding to 16 bits undid it: the sound fooled the model, the file does not.")
    if evaluation.segmental_snr_db == -math.inf:
        notes.append("Something was added to digital silence: there it can be heard.")
    elif evaluation.segmental_snr_db < _AUDIBLE_DB:
        notes.append(
            f"In its worst 25 ms the ratio is {decibels(evaluation.segmental_snr_db)}: there the "
            "change may be heard."
        )
    if evaluation.clipped:
        notes.append(
            f"{evaluation.clipped:,} samples of the adversary do not fit the file: clipped."
        )
    if evaluation.clipped_before:
        notes.append(
            f"{evaluation.clipped_before:,} samples of the original are at full scale: clipped?"
        )
    if evaluation.inconsistency_after and evaluation.inconsistency_after > 0.01:
        notes.append(
            "The spectrum that was aimed at is that of no sound "
            f"(inconsistency {number(evaluation.inconsistency_after)})."
        )
    if evaluation.success:
        notes.append(_defence(evaluation))
    return notes


def is_flat(confidence: Sequence[float], *, success: bool) -> bool:
    """Whether a search without success took steps, and all left the confidence as it was."""
    known = {value for value in confidence if not math.isnan(value)}
    return not success and len(confidence) > 1 and len(known) == 1


def facts(evaluation: Evaluation, *, model: str = "", start: float = 0.0) -> list[Fact]:
    """List the measures; ``start`` is the second at which the excerpt begins."""
    guaranteed = evaluation.snr_guaranteed_db
    promise = "" if guaranteed is None else f"; rounding leaves at least {decibels(guaranteed)}"
    bound, ratio = decibels(evaluation.snr_bound_db), evaluation.magnitude_snr_db
    return [
        *([Fact("Model", model)] if model else []),
        Fact("Excerpt", f"{start:.2f}–{start + evaluation.seconds:.2f} s, {evaluation.sr:,.0f} Hz"),
        Fact("Heard before", evaluation.label_before),
        Fact("Heard in the file", evaluation.label_after),
        Fact(
            f"Confidence in {aim(evaluation)}",
            f"{decimals(evaluation.confidence_before, 3)} → "
            f"{decimals(evaluation.confidence_after, 3)}",
        ),
        Fact("Steps", str(evaluation.iterations)),
        Fact("Signal-to-noise ratio", decibels(evaluation.snr_db), f"required: {bound}{promise}"),
        Fact(
            "Where the original sounds",
            decibels(evaluation.support_snr_db),
            "without digital silence",
        ),
        Fact("Worst 25 ms", decibels(evaluation.segmental_snr_db), "where a change is heard first"),
        *_proxies(evaluation),
        Fact(
            "Inconsistency",
            f"{_small(evaluation.inconsistency_before)} → {_small(evaluation.inconsistency_after)}",
            "0: the spectrum aimed at is that of a sound",
        ),
        *([Fact("Ratio of magnitudes", decibels(ratio), "what was bounded")] if ratio else []),
        Fact("Clipped samples", f"{evaluation.clipped:,}"),
    ]


def _proxies(evaluation: Evaluation) -> list[Fact]:
    """List what stands for listeners: neither measure replaces them."""
    proxies = []
    if evaluation.noise_to_mask_db is not None:
        note = "a proxy for the ear; below 0 dB the change is masked on average"
        proxies.append(Fact("Noise-to-mask ratio", decibels(evaluation.noise_to_mask_db), note))
    if evaluation.dnsmos_before is not None and evaluation.dnsmos_after is not None:
        change = f"{decimals(evaluation.dnsmos_before)} → {decimals(evaluation.dnsmos_after)}"
        proxies.append(Fact("DNSMOS", change, "a proxy for listeners to speech, 1 to 5"))
    return proxies


@dataclass(frozen=True)
class _ConfidenceChart:
    """The confidence over steps, and the threshold as a path and in words (empty if none)."""

    path: str
    step_ticks: list[Tick]
    threshold: str
    threshold_legend: str


@dataclass(frozen=True)
class _LowPassRow:
    """Original and adversary behind a low-pass filter: classes and confidences."""

    cutoff: str
    original: str
    original_confidence: str
    adversary: str
    adversary_confidence: str


@dataclass(frozen=True)
class _AdversaryPage:
    """The page of an adversary."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    sounds: list[Sound]
    panels: list[Panel]
    time_ticks: list[Tick]
    time_unit: str
    khz_ticks: list[Tick]
    frequency_unit: str
    confidence: _ConfidenceChart | None
    value_ticks: list[Tick]
    aim: str
    low_pass: list[_LowPassRow]
    facts: list[Fact]
    json: str


def _heard(evaluation: Evaluation) -> tuple[str, str]:
    return f"heard as “{evaluation.label_before}”", f"heard as “{evaluation.label_after}”"


def sounds_of(
    original: Tensor, adversary: Tensor, sr: float, notes: tuple[str, str]
) -> list[Sound]:
    """Encode without loss, since a lossy code may undo an adversary; notes are of these two."""
    clips = [
        ("original", "Original", notes[0], original),
        ("adversary", "Adversary", notes[1], adversary),
    ]
    gain_db = _gain_db(original, adversary)
    if gain_db is not None:
        louder = (adversary - original) * 10 ** (gain_db / 20)
        clips.append(("difference", f"Difference, {gain_db} dB louder", "", louder))
    return [Sound(key, label, note, 0, 100, lossless_uri(y, sr)) for key, label, note, y in clips]


def _gain_db(original: Tensor, adversary: Tensor) -> int | None:
    """Find the gain, in whole dB, that makes the difference as loud as the original.

    The difference stays within full scale; None if there is none.
    """
    difference = (adversary - original).double()
    if not bool(difference.any()):
        return None
    louder = float(original.double().norm() / difference.norm())
    return math.floor(20 * math.log10(min(louder, 0.99 / float(difference.abs().max()))))


def khz_ticks(sr: float) -> list[Tick]:
    """Mark round frequencies from 0 to half the sample rate, without the ends."""
    return [tick for tick in ticks(0, sr / 2000, most=4) if 5 < tick.at < 95]


def panels(original: Tensor, adversary: Tensor, sr: float) -> list[Panel]:
    """Draw log-spectrograms on one scale, that of the original."""
    sounds = torch.stack([original, adversary, adversary - original]).double()
    n_fft = 1024 if sr >= 16000 else 512
    hop = max(n_fft // 4, math.ceil(sounds.shape[1] / _COLUMNS))
    window = torch.hann_window(n_fft, dtype=torch.float64)
    level_db = 20 * stft(sounds, window=window, hop_length=hop, center=True).abs().log10()
    shown = (1 + (level_db - level_db[0].max()) / _RANGE_DB).clamp(0, 1) ** 1.5  # quiet bins recede
    return [
        Panel(
            label,
            f"Spectrogram: {label}",
            f"spectrum-{label.lower()}",
            mask_png(values),
            tuple(values.shape),
        )
        for label, values in zip(("Original", "Adversary", "Difference"), shown, strict=True)
    ]


def _confidence_chart(evaluation: Evaluation) -> _ConfidenceChart | None:
    """Draw the confidence before each step; None if no step was taken."""
    n_steps, threshold = len(evaluation.confidence) - 1, evaluation.threshold
    if n_steps < 1:
        return None
    at = [100 * step / n_steps for step in range(n_steps + 1)]
    return _ConfidenceChart(
        path=polyline(at, [100 * value for value in evaluation.confidence]),
        step_ticks=[tick for tick in ticks(0, n_steps, most=6) if "." not in tick.label],
        threshold="" if threshold is None else f"M0 {100 - 100 * threshold}H100",
        threshold_legend="" if threshold is None else f"{decimals(threshold)}: heard from here on",
    )


def _bound(evaluation: Evaluation) -> str:
    bound, measured = decibels(evaluation.snr_bound_db), decibels(evaluation.snr_db)
    if evaluation.snr_db == math.inf:
        return "The sound is unchanged."
    if evaluation.snr_guaranteed_db is None:
        return f"The bound was on magnitudes: {bound} required, {measured} measured on the sound."
    if evaluation.snr_db >= evaluation.snr_bound_db:
        return f"The bound held on the file: {bound} required, {measured} measured."
    if evaluation.snr_db >= evaluation.snr_guaranteed_db:
        return f"The bound held: {bound} required; rounding to 16 bits left {measured} in the file."
    return f"The bound did not hold: {bound} required, {measured} measured."


def _defence(evaluation: Evaluation) -> str:
    """Say at which cut-offs original and adversary are both heard as the original was."""
    if not evaluation.low_pass:
        return "No low-pass filter was tried."
    keeps = [row for row in evaluation.low_pass if row.original == evaluation.label_before]
    cures = [row.cutoff_hz for row in keeps if row.adversary == evaluation.label_before]
    if not keeps:
        return "No low-pass filter leaves the original heard as it was."
    if not cures:
        return (
            "No low-pass filter undoes it: wherever the original is still heard as it was, the "
            "adversary is not."
        )
    return f"A low-pass filter undoes it: at {', '.join(f'{hz:g}' for hz in cures)} Hz."


def _small(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "0" if value < 1e-6 else f"{value:.2g}"
