"""Evaluation of adversaries as files that are written and read again.

Each sound is rounded to 16 bits, written, read and classified again; success, ratios and clipping
are those of the file. Rounding adds at most 2^-16 to a sample (2^-15 to one at the very top, 1.0),
so the bound on the file is lower than that on the sound by a stated part of a dB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope import ops
from otoscope.attack.base import Attack
from otoscope.attack.classifier import kind_of_outputs, predict
from otoscope.attack.magnitude import MagnitudeAdversary
from otoscope.attack.objective import Assessment, Objective, aggregate, log_posterior
from otoscope.attack.result import AttackResult
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import evaluating
from otoscope.records import to_plain
from otoscope.signal.audio.files import read_audio, write_audio
from otoscope.signal.masking import noise_to_mask_db
from otoscope.signal.snr import radius, segmental_snr_db, snr_db
from otoscope.signal.stft import hann

__all__ = [
    "CUTOFFS_HZ",
    "Evaluation",
    "LowPassResult",
    "evaluate",
    "inconsistency",
    "round_to_16_bits",
    "written",
]

CUTOFFS_HZ = (500.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 9000.0, 16000.0)
"""Cutoff frequencies of the low-pass sweep; those from half the sample rate are left out."""

_TAPS = 511  # at 16 kHz the filter goes from pass to stop within 100 Hz


@dataclass(frozen=True)
class LowPassResult:
    """Predictions for the original and the file behind a low-pass filter.

    Parameters
    ----------
    cutoff_hz : float
        Frequency at which the zero-phase filter halves the amplitude.
    original, adversary : str
        Predicted labels.
    confidence_original, confidence_adversary : float
        Confidence in the aim.
    """

    cutoff_hz: float
    original: str
    adversary: str
    confidence_original: float
    confidence_adversary: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Measures of one adversary as a 16-bit file.

    Parameters
    ----------
    path : str
        The file, 16 bits per sample.
    sr : float
        Sample rate in hertz.
    seconds : float
        Duration.
    aim : str
        Label to reach, or to leave.
    targeted : bool
        True if the label was to be reached.
    success : bool
        Success of the file, by the attack's criterion.
    success_before_writing : bool
        Success of the sound before it was rounded and written.
    label_before, label_after : str
        Labels predicted for the original and for the file.
    confidence_before, confidence_after : float
        Confidence in the aim: the target, or the strongest label other than the one to leave.
    threshold : float, optional
        Confidence needed for success; None where, with many labels, being the largest suffices.
    confidence : tuple of float
        Confidence before each step, and after the last.
    iterations : int
        Number of steps; 0: the original has the aimed prediction already and is not counted.
    snr_bound_db : float
        Bound of the attack.
    snr_guaranteed_db : float, optional
        Bound that holds after rounding, for any adversary; None where the attack does not bound the
        sound (the published method).
    snr_db : float
        Ratio of the file, over all samples.
    support_snr_db : float
        Ratio over those samples of the original that are not digital silence.
    segmental_snr_db : float
        Ratio of the worst segment; -inf where something was added to digital silence.
    clipped_before, clipped : int
        Number of samples of the original at full scale; number of samples of the adversary beyond
        full scale, which the file holds clipped.
    inconsistency_before, inconsistency_after : float
        ||P S - S|| / ||S|| of the original's spectrum, and of the spectrum S that the attack aimed
        at: that of its sound (0 up to rounding) or, in the published method, an inconsistent one.
        None if the result does not hold that spectrum.
    low_pass : tuple of LowPassResult
        Predictions behind low-pass filters.
    success_on_spectra : bool, optional
        Success as the published method counts it.
    magnitude_snr_db : float, optional
        Ratio that the published method bounds.
    noise_to_mask_db : float, optional
        Mean power of the change over the masking threshold: a proxy for whether it is heard.
    dnsmos_before, dnsmos_after : float, optional
        Quality of speech, 1 to 5, that DNSMOS predicts for original and file: a proxy.

    Examples
    --------
    >>> evaluate(attack.run(x), attack, paths)[0].success  # doctest: +SKIP
    True
    """

    path: str
    sr: float
    seconds: float
    aim: str
    targeted: bool
    success: bool
    success_before_writing: bool
    label_before: str
    label_after: str
    confidence_before: float
    confidence_after: float
    threshold: float | None
    confidence: tuple[float, ...]
    iterations: int
    snr_bound_db: float
    snr_guaranteed_db: float | None
    snr_db: float
    support_snr_db: float
    segmental_snr_db: float
    clipped_before: int
    clipped: int
    inconsistency_before: float
    inconsistency_after: float | None
    low_pass: tuple[LowPassResult, ...] = ()
    success_on_spectra: bool | None = None
    magnitude_snr_db: float | None = None
    noise_to_mask_db: float | None = None
    dnsmos_before: float | None = None
    dnsmos_after: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON's types; infinite ratios become None."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def evaluate(
    result: AttackResult,
    attack: Attack,
    paths: Sequence[str | Path],
    *,
    cutoffs_hz: Sequence[float] = CUTOFFS_HZ,
    progress: Progress = silent,
) -> tuple[Evaluation, ...]:
    """Write adversaries as 16-bit files, read them again, and measure them.

    Parameters
    ----------
    result : AttackResult
        Result of ``attack.run``.
    attack : Attack
        The attack, with its model and criterion. It or its model must have a sample rate.
    paths : sequence of path
        One path per sound, ending in .wav or .flac. Each file is written whole or not at all.
    cutoffs_hz : sequence of float
        Cutoff frequencies of the low-pass sweep; those from half the sample rate are left out.
    progress : bool or callable
        True shows a bar over the sounds.

    Returns
    -------
    tuple of Evaluation
        Measures of each sound.

    Raises
    ------
    ParameterError
        If the number of paths is not that of the sounds, a path does not end in .wav or .flac, the
        sample rate is unknown, or an original is beyond full scale.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, sections IV and V (which count success on spectra).

    Examples
    --------
    >>> import tempfile
    >>> from otoscope.attack import WaveformPGD
    >>> attack = WaveformPGD(torch.nn.Linear(100, 2), sr=8000)
    >>> path = Path(tempfile.mkdtemp()) / "adversary.wav"
    >>> (evaluation,) = evaluate(attack.run(torch.rand(100)), attack, [path], cutoffs_hz=[1000.0])
    >>> evaluation.snr_db >= evaluation.snr_guaranteed_db, path.exists()
    (True, True)
    """
    sr = attack.sample_rate
    if sr is None:
        raise ParameterError("the attack does not know the sample rate of its sounds: sr=")
    if len(paths) != len(result.sound):
        raise ParameterError(
            f"{len(paths)} paths for {len(result.sound)} sounds: give one per sound"
        )
    for path in map(Path, paths):
        if path.suffix.lower() not in (".wav", ".flac"):
            raise ParameterError(f"{path} must end in .wav or .flac: other formats are lossy")
    with evaluating(attack.model), torch.no_grad():
        return tuple(
            _evaluate_one(result, attack, i, Path(path), float(sr), cutoffs_hz)
            for i, path in enumerate(tracked(progress, paths, "sounds"))
        )


def round_to_16_bits(y: Tensor) -> Tensor:
    """Round samples [..., sample] to those that a 16-bit file holds; beyond full scale they clip.

    libsndfile does not round floats to WAV but truncates them: up to 2^-15, all in one direction.
    """
    return (y * 32768).round().clamp(-32768, 32767) / 32768


def written(path: Path, sound: Tensor, sr: float) -> Tensor:
    """Write a sound [sample] with 16 bits and read it again; dtype and device are the sound's."""
    write_audio(path, round_to_16_bits(sound).cpu(), sr=sr, subtype="PCM_16")
    return read_audio(path)[0].to(sound)


def inconsistency(spectrum: Tensor, *, window: Tensor, hop_length: int) -> Tensor:
    """Measure ||P S - S|| / ||S|| in [0, 1] of spectra [..., frame, bin]: 0 if S is an STFT.

    Bins between DC and Nyquist count twice, as in `otoscope.ops.project`.
    """
    S = spectrum.to(torch.complex128)
    residual = ops.project(S, window=window.double(), hop_length=hop_length) - S
    return _norm(residual) / _norm(S)


def _norm(S: Tensor) -> Tensor:
    energy = S.abs().square().sum(-2)
    return (2 * energy.sum(-1) - energy[..., 0] - energy[..., -1]).sqrt()


def _evaluate_one(
    result: AttackResult,
    attack: Attack,
    i: int,
    path: Path,
    sr: float,
    cutoffs_hz: Sequence[float],
) -> Evaluation:
    x, sound = result.original[i], result.sound[i]
    if (peak := float(x.abs().max())) > 1:
        raise ParameterError(f"sound {i} peaks at {peak:.3f}; a file holds -1 to 1: scale it")
    y = written(path, sound, sr)
    cutoffs = [hz for hz in cutoffs_hz if hz < sr / 2]
    before, posterior_before = _assess(attack, result, i, _filtered(x, sr, cutoffs))
    after, posterior_after = _assess(attack, result, i, _filtered(y, sr, cutoffs))
    labels_before, labels_after = (
        _predicted(p, attack) for p in (posterior_before, posterior_after)
    )
    sounding = x != 0
    return Evaluation(
        path=str(path),
        sr=sr,
        seconds=len(x) / sr,
        aim=_aim(result.labels[i], attack),
        targeted=result.targeted,
        success=bool(after.success[0]),
        success_before_writing=bool(result.success[i]),
        label_before=labels_before[0],
        label_after=labels_after[0],
        confidence_before=float(before.confidence[0]),
        confidence_after=float(after.confidence[0]),
        threshold=_threshold(attack, n_labels=posterior_after.shape[-1]),
        confidence=tuple(result.confidence[i, : int(result.iterations[i]) + 1].tolist()),
        iterations=int(result.iterations[i]),
        snr_bound_db=attack.snr_db,
        snr_guaranteed_db=_guaranteed(x, sound, attack),
        snr_db=float(snr_db(x, y)),
        support_snr_db=float(snr_db(x[sounding], y[sounding])),
        segmental_snr_db=float(segmental_snr_db(x, y, segment_length=attack.bound.segment_length)),
        noise_to_mask_db=noise_to_mask_db(x, y, sr=sr),
        clipped_before=int(result.clipped[i]),
        clipped=int((sound.abs() > 1).sum()),
        low_pass=tuple(
            map(
                LowPassResult,
                cutoffs,
                labels_before[1:],
                labels_after[1:],
                before.confidence[1:].tolist(),
                after.confidence[1:].tolist(),
            )
        ),
        **_of_spectra(result, attack, i),
    )


def _filtered(y: Tensor, sr: float, cutoffs_hz: Sequence[float]) -> Tensor:
    """Stack a sound and its low-passed versions: Tensor [1 + cutoff, sample]."""
    from scipy.signal import fftconvolve, firwin  # 0.2 s, when it is used

    samples = y.double().cpu().numpy()
    rows = [fftconvolve(samples, firwin(_TAPS, hz, fs=sr), mode="same") for hz in cutoffs_hz]
    return torch.from_numpy(np.stack([samples, *rows])).to(y)


def _assess(
    attack: Attack, result: AttackResult, i: int, sounds: Tensor
) -> tuple[Assessment, Tensor]:
    """Assess variants of sound i; also give their posteriors [sound, label]."""
    values = predict(attack.model, sounds)
    kind = kind_of_outputs(attack.model, attack.outputs, values)
    labels = result.labels[i].expand(len(sounds), *result.labels.shape[1:])
    aim = Objective(labels, result.targeted, kind, attack.aggregation, attack.confidence)
    posterior = log_posterior(values, kind).exp()
    if posterior.ndim == 3:
        posterior = aggregate(posterior, attack.aggregation)
    return aim.assess(values), posterior


def _predicted(posterior: Tensor, attack: Attack) -> list[str]:
    return [_name(label, attack) for label in posterior.argmax(-1).tolist()]


def _aim(label: Tensor, attack: Attack) -> str:
    return _name(int(label), attack) if label.ndim == 0 else "a label for each frame"


def _name(label: int, attack: Attack) -> str:
    names: Sequence[str] = getattr(attack.model, "label_names", ())
    return names[label] if label < len(names) else f"label {label}"


def _threshold(attack: Attack, *, n_labels: int) -> float | None:
    """Confidence needed for success; the larger of two labels has at least 0.5."""
    largest = 0.5 if n_labels == 2 else None
    return max(filter(None, (attack.confidence, largest)), default=None)


def _guaranteed(x: Tensor, sound: Tensor, attack: Attack) -> float | None:
    """Minimum ratio of the file, dB: from the ball's radius plus the largest rounding error."""
    if isinstance(attack, MagnitudeAdversary) and attack.faithful:
        return None
    at_the_top = int((sound > 1 - 2**-16).sum())
    norm = float(x.double().norm())
    most = float(radius(x, attack.snr_db)) + 2**-16 * math.sqrt(len(x) + 3 * at_the_top)
    return 20 * math.log10(norm / most)


def _of_spectra(result: AttackResult, attack: Attack, i: int) -> dict[str, Any]:
    """Inconsistencies, and the measures of the published method."""
    n_fft, hop_length = 1024, 512
    if isinstance(attack, MagnitudeAdversary):
        n_fft, hop_length = attack.n_fft, attack.hop_length
    window = hann(n_fft, periodic=False)

    def of_sound(y: Tensor) -> Tensor:
        padded = F.pad(y.double(), (n_fft, n_fft + -len(y) % hop_length))
        return ops.stft(padded, window=window, hop_length=hop_length)

    def of_spectrum(S: Tensor | None) -> float | None:
        return None if S is None else float(inconsistency(S, window=window, hop_length=hop_length))

    aimed_at: Tensor | None = of_sound(result.sound[i])
    if result.success_on_spectra is not None:  # as published: inconsistent
        aimed_at = None if result.spectrum is None else result.spectrum[i]
    spectra, ratio = result.success_on_spectra, result.magnitude_snr_db
    return {
        "inconsistency_before": of_spectrum(of_sound(result.original[i])),
        "inconsistency_after": of_spectrum(aimed_at),
        "success_on_spectra": None if spectra is None else bool(spectra[i]),
        "magnitude_snr_db": None if ratio is None else float(ratio[i]),
    }
