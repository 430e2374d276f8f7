"""Attack a model on a sound file: an adversary of an excerpt, or of the whole file in pieces.

The adversary is a file of 16 bits at the model's rate, and what is told is told of that file. A
piece is attacked by itself, with the bound on itself, so that memory does not grow with the file
but by its samples; the bound then holds for all of it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from otoscope.attack import MagnitudeAdversary, WaveformPGD
from otoscope.attack.base import Attack
from otoscope.attack.classifier import kind_of_outputs, predict
from otoscope.attack.evaluation import evaluate, round_to_16_bits
from otoscope.attack.objective import Outputs, log_posterior
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.progress import Progress
from otoscope.protocols import SoundClassifier, Target, choose_targets
from otoscope.signal import read_audio, write_audio
from otoscope.signal.snr import check_snr
from otoscope.workflows._attacked import Attacked, AttackFile, Piece
from otoscope.workflows._recording import listening_model

__all__ = ["attack_file"]


def attack_file(settings: AttackFile, *, progress: Progress | None = None) -> Attacked:
    """Make a model hear something else, write the sound, and measure it.

    Parameters
    ----------
    settings : AttackFile
        What to attack, and how.
    progress : callable, optional
        Goes over "pieces".

    Returns
    -------
    Attacked
        What was measured of the file.

    Raises
    ------
    ParameterError
        If a setting is wrong, the sound is silent, too short or not finite, the model gives no
        gradient, or hears the target already.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> settings = AttackFile(sample().path, "synth-singing", Path("adv.wav"))
    >>> attack_file(settings).is_fooled  # doctest: +SKIP
    True
    """
    _check(settings)
    model = listening_model(settings.model, device=settings.device)
    y, sr = read_audio(settings.sound, sr=model.sample_rate)
    gain = 1 / max(1.0, float(y.abs().max()))  # resampling may go beyond full scale
    y = (y * gain).to(settings.device)
    try:
        spans = _spans(len(y), sr, settings)
        attack = _attack(model, _first_sounding(y, spans), settings)
        judged = _attacked(y, sr, spans, attack, progress or (lambda items, _: items))
        pieces = tuple(_named(piece, settings.out) for piece in judged)
        if all(piece.left for piece in pieces):
            raise ParameterError(
                f"the model hears {settings.target!r} already: choose another target"
            )
    except ParameterError as err:
        raise err.within(settings.sound) from err
    adversary = torch.cat([piece.adversary for piece in pieces])
    write_audio(settings.out, adversary, sr=sr, subtype="PCM_16")
    return Attacked(settings, sr, 20 * math.log10(gain), pieces)


def _check(settings: AttackFile) -> None:
    check_snr("snr_db", settings.snr_db)
    if settings.domain not in ("waveform", "magnitude"):
        raise ParameterError(f"domain is {settings.domain!r}, must be waveform or magnitude")
    if not 0 <= settings.start < math.inf:
        raise ParameterError(f"start is {settings.start:g}; it must be seconds, 0 or more")
    if not 0 < settings.duration < math.inf:
        raise ParameterError(f"duration is {settings.duration:g}; it must be seconds above 0")
    if settings.out.suffix.lower() not in (".wav", ".flac"):
        raise ParameterError(f"{settings.out} must end in .wav or .flac: other formats are lossy")


def _spans(n_samples: int, sr: float, settings: AttackFile) -> list[tuple[int, int]]:
    """The excerpt, or the pieces, of which the last has the rest: first sample and end."""
    length = max(1, round(settings.duration * sr))
    if settings.whole:
        n_pieces = max(1, n_samples // length)
        return [
            (i * length, n_samples if i == n_pieces - 1 else (i + 1) * length)
            for i in range(n_pieces)
        ]
    first = round(settings.start * sr)
    if first >= n_samples:
        raise ParameterError(
            f"start is {settings.start:g} s, the sound lasts {n_samples / sr:.2f} s"
        )
    return [(first, min(first + length, n_samples))]


def _first_sounding(y: Tensor, spans: list[tuple[int, int]]) -> Tensor:
    for first, end in spans:
        if bool(y[first:end].any()):
            return y[first:end]
    first, end = spans[0][0], spans[-1][1]
    raise ParameterError(
        f"all {end - first} samples are silent: silence has no signal-to-noise ratio",
        advice=Advice("choose another excerpt with ", Argument("start")),
    )


def _attack(model: Any, x: Tensor, settings: AttackFile) -> Attack:
    """What is asked of the model, and the search that is to change its answer."""
    classifier = _classifier(model, x, settings.target)
    kind = WaveformPGD if settings.domain == "waveform" else MagnitudeAdversary
    attack = kind(
        classifier,
        snr_db=settings.snr_db,
        steps=settings.steps,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    if settings.target is None:
        return attack
    return attack.targeted(classifier.label_names.index(settings.target))


def _classifier(model: Any, x: Tensor, target: str | None) -> SoundClassifier:
    """All outputs, if one of them holds; of tags the one that is meant, or the highest."""
    n_frames = len(model.prepare(x))
    n_hops = max(1, math.ceil(n_frames / model.patch_frames) - 1)
    hop = max(1, (n_frames - model.patch_frames) // n_hops)  # excerpts reach to the end

    def of(classes: Target) -> SoundClassifier:
        outputs: Outputs = getattr(model, "outputs", "probabilities")
        return SoundClassifier(model, classes=classes, hop=hop, tail=False, outputs=outputs)

    names, every = model.output_names, of(None)
    with torch.no_grad():
        values = predict(every, x[None])[0]
    exclusive = every.outputs == "logits" or abs(float(values.sum()) - 1) < 1e-3
    are_tags = len(names) > 1 and not exclusive
    column = int(values.argmax())
    if target is not None:
        name = target if len(names) > 1 and exclusive else target.removeprefix("not ")
        (column,) = choose_targets(name, len(names), names).values()
    return of(column) if are_tags else every


def _attacked(
    y: Tensor, sr: float, spans: list[tuple[int, int]], attack: Attack, progress: Progress
) -> Iterator[Piece]:
    judge = replace(attack, confidence=None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "piece.wav"
        for first, end in progress(spans, "pieces"):
            x = y[first:end]
            left = _reason_to_leave(attack, x)
            if left:
                yield Piece(first / sr, x.cpu(), round_to_16_bits(x).cpu(), left=left)
                continue
            (found,) = evaluate(attack.run(x), judge, [path])
            yield Piece(first / sr, x.cpu(), read_audio(path)[0], found)


def _named(piece: Piece, out: Path) -> Piece:
    """What was measured of a piece's own file is true of its samples in the whole."""
    found = piece.evaluation
    return replace(piece, evaluation=found and replace(found, path=str(out)))


def _reason_to_leave(attack: Attack, x: Tensor) -> Literal["", "silent", "heard already"]:
    if not bool(x.any()):
        return "silent"
    if attack.goal is None:
        return ""
    with torch.no_grad():
        values = predict(attack.model, x[None])
    posterior = log_posterior(values, kind_of_outputs(attack.model, attack.outputs, values))
    return "heard already" if int(posterior.argmax()) == attack.goal.label else ""
