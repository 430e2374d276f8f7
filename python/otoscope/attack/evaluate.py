"""Counting: an adversary is what the model hears in a file, written and read again.

Each sound is rounded to 16 bits, written, read and heard again; success, ratios and clipping are
those of the file. Rounding adds at most 2^-16 to a sample (2^-15 to one at the very top, 1.0), so
a bound on the sound holds for the file but for a stated part of a dB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope import ops
from otoscope.attack.base import Attack
from otoscope.attack.evaluation import Evaluation, LowPassed
from otoscope.attack.magnitude import MagnitudeAdversary
from otoscope.attack.model import hear, kind_of_outputs
from otoscope.attack.objective import Objective, Verdict, aggregate, log_posterior
from otoscope.attack.result import AttackResult
from otoscope.errors import ParameterError
from otoscope.protocols import evaluating
from otoscope.signal.audio.files import read_audio, write_audio
from otoscope.signal.snr import radius, segmental_snr_db, snr_db
from otoscope.signal.stft import hann

__all__ = ["CUTOFFS_HZ", "evaluate", "inconsistency", "round_to_16_bits"]

CUTOFFS_HZ = (500.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 9000.0, 16000.0)
"""Of the low-pass sweep, as far as they are below half the rate."""

_TAPS = 511  # at 16 kHz the filter goes from pass to stop within 100 Hz


def evaluate(
    result: AttackResult,
    attack: Attack,
    paths: Sequence[str | Path],
    *,
    cutoffs_hz: Sequence[float] = CUTOFFS_HZ,
) -> tuple[Evaluation, ...]:
    """Write adversaries as 16-bit files, read them again, and ask the model.

    Parameters
    ----------
    result : AttackResult
        Of ``attack.run``.
    attack : Attack
        The attack: its model is asked, its criterion decides. It, or its model, must know the
        samples a second.
    paths : sequence of path
        One a sound, ending in .wav or .flac. Each file is written whole or not at all.
    cutoffs_hz : sequence of float
        Of the low-pass sweep; those from half the rate upwards are left out.

    Returns
    -------
    tuple of Evaluation
        One a sound.

    Raises
    ------
    ParameterError
        If there are not as many paths as sounds, one does not end in .wav or .flac, the rate is
        not known, or an original is beyond what a file can hold.

    Notes
    -----
    The inconsistency is weighted as `otoscope.ops.project` is: bins between DC and Nyquist twice.

    References
    ----------
    Kereliuk, Sturm and Larsen, "Deep learning and music adversaries", IEEE Trans. Multimedia
    17(11), 2015, sections IV and V (which count on spectra).

    Examples
    --------
    >>> import tempfile
    >>> from otoscope.attack import WaveformPGD
    >>> attack = WaveformPGD(torch.nn.Linear(100, 2), sr=8000)
    >>> path = Path(tempfile.mkdtemp()) / "adversary.wav"
    >>> (one,) = evaluate(attack.run(torch.rand(100)), attack, [path], cutoffs_hz=[1000.0])
    >>> one.snr_db >= one.snr_guaranteed_db, path.exists()
    (True, True)
    """
    sr = attack.sr or getattr(attack.model, "sample_rate", None)
    if sr is None:
        raise ParameterError("the attack does not know the samples a second of its sounds: sr=")
    if len(paths) != len(result.sound):
        raise ParameterError(f"{len(paths)} paths for {len(result.sound)} sounds: need one a sound")
    for path in map(Path, paths):
        if path.suffix.lower() not in (".wav", ".flac"):
            raise ParameterError(f"{path} must end in .wav or .flac: other formats are lossy")
    with evaluating(attack.model), torch.no_grad():
        return tuple(
            _evaluate_one(result, attack, i, Path(path), float(sr), cutoffs_hz)
            for i, path in enumerate(paths)
        )


def round_to_16_bits(y: Tensor) -> Tensor:
    """Move samples to the nearest of those that a 16-bit file holds.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound; beyond -1 to 1 it is clipped.

    Returns
    -------
    Tensor [..., sample]
        Multiples of 2^-15 from -1 to 1 - 2^-15, which are written and read without change.

    Notes
    -----
    libsndfile does not round floats to WAV but cuts them off below: up to 2^-15, and all in one
    direction.

    Examples
    --------
    >>> round_to_16_bits(torch.tensor([0.7 / 32768, 2.0])) * 32768
    tensor([1.0000e+00, 3.2767e+04])
    """
    return (y * 32768).round().clamp(-32768, 32767) / 32768


def inconsistency(spectrum: Tensor, *, window: Tensor, hop_length: int) -> Tensor:
    """Measure how far a spectrum is from those that some sound has.

    Parameters
    ----------
    spectrum : Tensor [..., frame, bin]
        Complex.
    window : Tensor [n_fft]
        Of the analysis.
    hop_length : int
        Samples between frames.

    Returns
    -------
    Tensor [...]
        ||P S - S|| / ||S|| in [0, 1], float64.

    Examples
    --------
    >>> w = torch.hann_window(8)
    >>> float(inconsistency(torch.ones(3, 5, dtype=torch.complex64), window=w, hop_length=2)) > 0.5
    True
    """
    S = spectrum.to(torch.complex128)
    left = ops.project(S, window=window.double(), hop_length=hop_length) - S
    return _norm(left) / _norm(S)


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
    if float(x.abs().max()) > 1:
        raise ParameterError(
            f"sound {i} peaks at {float(x.abs().max()):.3f}; a file holds -1 to 1: scale it"
        )
    y = _written(path, sound, sr)
    cutoffs = [hz for hz in cutoffs_hz if hz < sr / 2]
    before, posterior_before = _judge(attack, result, i, _filtered(x, sr, cutoffs))
    after, posterior_after = _judge(attack, result, i, _filtered(y, sr, cutoffs))
    names_before, names_after = (_heard(p, attack) for p in (posterior_before, posterior_after))
    sounding = x != 0
    return Evaluation(
        path=str(path),
        sr=sr,
        seconds=len(x) / sr,
        aim=_aim(result.labels[i], attack),
        targeted=result.targeted,
        success=bool(after.success[0]),
        success_before_writing=bool(result.success[i]),
        heard_before=names_before[0],
        heard_after=names_after[0],
        confidence_before=float(before.confidence[0]),
        confidence_after=float(after.confidence[0]),
        threshold=_threshold(attack, n_labels=posterior_after.shape[-1]),
        confidence=tuple(result.confidence[i, : int(result.iterations[i]) + 1].tolist()),
        iterations=int(result.iterations[i]),
        snr_asked_db=attack.snr_db,
        snr_guaranteed_db=_guaranteed(x, sound, attack),
        snr_db=float(snr_db(x, y)),
        support_snr_db=float(snr_db(x[sounding], y[sounding])),
        segmental_snr_db=float(segmental_snr_db(x, y, segment_length=attack.bound.segment_length)),
        clipped_before=int(result.clipped[i]),
        clipped=int((sound.abs() > 1).sum()),
        low_pass=tuple(
            map(
                LowPassed,
                cutoffs,
                names_before[1:],
                names_after[1:],
                before.confidence[1:].tolist(),
                after.confidence[1:].tolist(),
            )
        ),
        **_of_spectra(result, attack, i),
    )


def _written(path: Path, sound: Tensor, sr: float) -> Tensor:
    """Write and read again: Tensor [sample], of the dtype and on the device of the sound."""
    write_audio(path, round_to_16_bits(sound).cpu(), sr=sr, subtype="PCM_16")
    return read_audio(path)[0].to(sound)


def _filtered(y: Tensor, sr: float, cutoffs_hz: Sequence[float]) -> Tensor:
    """A sound, then the same behind each filter: Tensor [1 + cutoff, sample]."""
    from scipy.signal import fftconvolve, firwin  # 0.2 s, when it is used

    samples = y.double().cpu().numpy()
    rows = [fftconvolve(samples, firwin(_TAPS, hz, fs=sr), mode="same") for hz in cutoffs_hz]
    return torch.from_numpy(np.stack([samples, *rows])).to(y)


def _judge(attack: Attack, result: AttackResult, i: int, sounds: Tensor) -> tuple[Verdict, Tensor]:
    """Ask about sounds in the place of sound i: verdicts, and posteriors [sound, label]."""
    values = hear(attack.model, sounds)
    kind = kind_of_outputs(attack.model, attack.outputs, values)
    labels = result.labels[i].expand(len(sounds), *result.labels.shape[1:])
    aim = Objective(labels, result.targeted, kind, attack.aggregation, attack.confidence)
    posterior = log_posterior(values, kind).exp()
    if posterior.ndim == 3:
        posterior = aggregate(posterior, attack.aggregation)
    return aim.judge(values), posterior


def _heard(posterior: Tensor, attack: Attack) -> list[str]:
    return [_name(label, attack) for label in posterior.argmax(-1).tolist()]


def _aim(label: Tensor, attack: Attack) -> str:
    return _name(int(label), attack) if label.ndim == 0 else "a label for each frame"


def _name(label: int, attack: Attack) -> str:
    names: Sequence[str] = getattr(attack.model, "label_names", ())
    return names[label] if label < len(names) else f"label {label}"


def _threshold(attack: Attack, *, n_labels: int) -> float | None:
    """The confidence that is success; of two labels the one heard has half of it at least."""
    heard = 0.5 if n_labels == 2 else None
    return max(filter(None, (attack.confidence, heard)), default=None)


def _guaranteed(x: Tensor, sound: Tensor, attack: Attack) -> float | None:
    """The least ratio of the file, dB: the ball's radius, and at most this from rounding."""
    if isinstance(attack, MagnitudeAdversary) and attack.faithful:
        return None
    at_the_top = int((sound > 1 - 2**-16).sum())
    norm = float(x.double().norm())
    of_16_bits = 2**-16 * math.sqrt(len(x) + 3 * at_the_top)
    most = float(radius(x, attack.snr_db)) + of_16_bits
    return 20 * math.log10(norm / most)


def _of_spectra(result: AttackResult, attack: Attack, i: int) -> dict[str, Any]:
    """Inconsistencies, and what the published method counts."""
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
    if result.success_on_spectra is not None:  # as published: one that no sound need have
        aimed_at = None if result.spectrum is None else result.spectrum[i]
    spectra, ratio = result.success_on_spectra, result.magnitude_snr_db
    return {
        "inconsistency_before": of_spectrum(of_sound(result.original[i])),
        "inconsistency_after": of_spectrum(aimed_at),
        "success_on_spectra": None if spectra is None else bool(spectra[i]),
        "magnitude_snr_db": None if ratio is None else float(ratio[i]),
    }
