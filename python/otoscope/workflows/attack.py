"""Attack a model on a sound file: an adversary of an excerpt, or of the whole file in pieces.

The adversary is a 16-bit file at the model's sample rate, and all measures are those of that file.
A piece is attacked by itself, within a bound of its own, so memory grows only with the number of
samples; the bound then also holds for the whole file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from otoscope import report
from otoscope.attack import evaluate
from otoscope.attack.base import Attack
from otoscope.attack.classifier import (
    check_differentiable,
    classifier_of,
    kind_of_outputs,
    predict,
)
from otoscope.attack.evaluation import round_to_16_bits
from otoscope.attack.objective import log_posterior
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.models.zoo.dnsmos import speech_rating
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import SoundClassifier, choose_targets, model_name
from otoscope.protocols.listening import are_unnamed, named_outputs
from otoscope.signal import read_audio, truncation, write_audio
from otoscope.signal.audio.files import samples
from otoscope.signal.snr import check_snr
from otoscope.workflows.attack_methods import Search, make_search, method_of, needs_gradient
from otoscope.workflows.attack_result import AttackedPiece, AttackFileConfig, AttackFileResult
from otoscope.workflows.recording import load_identified_listener

__all__ = ["Attacker", "Change", "attack_file", "save_attack_page"]

_NAMED = 8  # labels in an error
_READ = 1 << 22  # samples of a long sound that are read at once


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
    _check_out(config.out)
    if method_of(config) == "universal":
        raise ParameterError(
            f"method is universal, one change for many sounds; {config.sound} is one sound: name "
            "a folder"
        )
    return Attacker(config).of(config.sound, config.out, progress=progress)


class Change(NamedTuple):
    """One change [sample] for many sounds, and the digest of what it was made from."""

    direction: Tensor
    origin: str


class Attacker:
    """Attacks one file after another, with a model that is loaded once.

    Parameters
    ----------
    config : AttackFileConfig
        Settings; sound and out are those of each call.
    change : Change, optional
        Change of the method universal, which `workflows.attack_universal` finds.
    loaded : tuple, optional
        Model and identity, see `recording.load_identified_listener`; by default loaded by name.

    Raises
    ------
    ParameterError
        If a setting is wrong, or the model cannot be attacked or lacks the target.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> attacker = Attacker(AttackFileConfig(Path("songs"), "synth-singing", Path("adversaries")))
    >>> attacker.of(sample().path, Path("adv.wav")).is_fooled  # doctest: +SKIP
    True
    """

    def __init__(
        self,
        config: AttackFileConfig,
        change: Change | None = None,
        *,
        loaded: tuple[Any, dict[str, str]] | None = None,
    ) -> None:
        self.config, self.change = config, change
        _check(config)
        self._rate = speech_rating() if config.speech else None
        loaded = loaded or load_identified_listener(config.model, device=config.device)
        model, self.identity = loaded
        self.model = named_outputs(model, config.outputs)
        if needs_gradient(config):
            check_differentiable(SoundClassifier(self.model))
        if config.target is not None:
            names = self.model.output_names
            if are_unnamed(names) and config.target.removeprefix("not ") not in names:
                raise ParameterError(
                    f"target is {config.target!r}, the model names its outputs "
                    f"{names[0]} to {names[-1]}",
                    advice=Advice("name them with ", Argument("outputs")),
                )
            choose_targets(config.target.removeprefix("not "), len(names), names)

    def of(self, sound: Path, out: Path, *, progress: Progress = silent) -> AttackFileResult:
        """Attack a file, write the adversary, and measure it; see `attack_file`."""
        config, sr = replace(self.config, sound=sound, out=out), self.model.sample_rate
        try:
            sounds, gain = self.pieces(sound)
            x = _first_sounding([x for _, x in sounds])
            search = self.search_around(x)
            attacked = _attacked(sounds, sr, search, progress)
            pieces = tuple(_in_file(_rated(piece, sr, self._rate), out) for piece in attacked)
            if all(piece.left for piece in pieces):
                raise _heard(config, getattr(search.attack.model, "label_names", ()))
        except ParameterError as err:
            raise err.within(sound) from err
        adversary = torch.cat([piece.adversary for piece in pieces])
        write_audio(out, adversary, sr=sr, subtype="PCM_16", comment="otoscope attack")
        about = truncation(sound), model_name(self.model)
        return AttackFileResult(config, sr, 20 * math.log10(gain), pieces, *about)

    def pieces(self, sound: Path) -> tuple[list[tuple[int, Tensor]], float]:
        """Read the first sample and the samples of each piece that is attacked, and their gain."""
        sr, config = self.model.sample_rate, self.config
        y = samples(sound, sr=sr)
        peak = max(float(y[i : i + _READ].abs().max()) for i in range(0, len(y), _READ))
        gain = 1 / max(1.0, peak)  # resampling may go beyond full scale
        spans = _spans(len(y), sr, config)
        return [(first, (y[first:end] * gain).to(config.device)) for first, end in spans], gain

    def search_around(self, x: Tensor) -> Search:
        """Compose the classifier of sounds as long as one [sample], and its attack."""
        config = self.config
        classifier = classifier_of(self.model, x, config.target, padded=config.padded)
        target = config.target
        label = None if target is None else classifier.label_names.index(target)
        direction = None if self.change is None else self.change.direction
        return make_search(classifier, config, label, direction=direction)


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
        method=method_of(result.config),
        title=result.config.sound.name,
        start=piece.start,
        notes=result.notes,
    )


def _check(config: AttackFileConfig) -> None:
    check_snr("snr_db", config.snr_db)
    if not 0 <= config.start < math.inf:
        raise ParameterError(f"start is {config.start:g}; it must be seconds, 0 or more")
    if not 0 < config.duration < math.inf:
        raise ParameterError(f"duration is {config.duration:g}; it must be seconds above 0")
    stand_in = torch.nn.Identity()
    stand_in.sample_rate = 22050  # type: ignore[assignment]
    make_search(stand_in, config)


def _check_out(out: Path) -> None:
    if out.suffix.lower() not in (".wav", ".flac"):
        raise ParameterError(f"{out} must end in .wav or .flac: other formats are lossy")


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


def _attacked(
    sounds: list[tuple[int, Tensor]], sr: float, search: Search, progress: Progress
) -> Iterator[AttackedPiece]:
    judge = replace(search.attack, confidence=None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "piece.wav"
        for first, x in tracked(progress, sounds, "pieces"):
            if reason := _reason_to_leave(search.attack, x):
                yield AttackedPiece(first / sr, x.cpu(), round_to_16_bits(x).cpu(), left=reason)
                continue
            (evaluation,) = evaluate(search.run(x, progress), judge, [path])
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


def _heard(config: AttackFileConfig, labels: Sequence[str]) -> ParameterError:
    """Make the error of a target that is the prediction already; name the other labels."""
    others = [label for label in labels if label != config.target]
    more = ", ..." if len(others) > _NAMED else ""
    return ParameterError(
        f"the model hears {config.target!r} already: choose another target "
        f"({', '.join(others[:_NAMED])}{more})"
    )


def _reason_to_leave(attack: Attack, x: Tensor) -> Literal["", "silent", "heard already"]:
    if not bool(x.any()):
        return "silent"
    if attack.goal is None:
        return ""
    with torch.no_grad():
        values = predict(attack.model, x[None])
    posterior = log_posterior(values, kind_of_outputs(attack.model, attack.outputs, values))
    return "heard already" if int(posterior.argmax()) == attack.goal.label else ""
