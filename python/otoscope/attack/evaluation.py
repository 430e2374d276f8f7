"""What was measured of an adversary as a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from otoscope.records import to_plain

__all__ = ["Evaluation", "LowPassed"]


@dataclass(frozen=True)
class LowPassed:
    """What a model hears of original and file through a low-pass filter.

    Parameters
    ----------
    cutoff_hz : float
        Where the filter halves the amplitude; zero-phase.
    original, adversary : str
        Labels heard.
    confidence_original, confidence_adversary : float
        In the aim.

    Examples
    --------
    >>> LowPassed(2000.0, "singing", "not singing", 0.1, 0.8).adversary
    'not singing'
    """

    cutoff_hz: float
    original: str
    adversary: str
    confidence_original: float
    confidence_adversary: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One adversary as a file, and all that was measured of that file.

    Parameters
    ----------
    path : str
        The file, 16 bits a sample.
    sr : float
        Samples a second.
    seconds : float
        Its length.
    aim : str
        The label to reach, or to leave.
    targeted : bool
        Whether it was to be reached.
    success : bool
        By the attack's criterion, of the file.
    success_before_writing : bool
        The same of the sound that the attack gave.
    heard_before, heard_after : str
        The label heard in the original and in the file.
    confidence_before, confidence_after : float
        In the aim: the target, or the strongest label other than the one to leave.
    threshold : float, optional
        Confidence that success needs; None where it is enough that, of many labels, it is the
        largest.
    confidence : tuple of float
        Before each step, and after the last.
    iterations : int
        Steps taken; 0: the model heard it so already, and there is nothing to count.
    snr_asked_db : float
        The attack's bound.
    snr_guaranteed_db : float, optional
        What the bound leaves after rounding, for any adversary; None where the attack does not
        bound the sound (the published one).
    snr_db : float
        Of the file, over all samples.
    support_snr_db : float
        Over those samples of the original that are not digital silence.
    segmental_snr_db : float
        Of the worst segment; -inf where something was added to digital silence.
    clipped_before, clipped : int
        Samples at full scale in the original; samples of the adversary beyond it, which the file
        holds clipped.
    inconsistency_before, inconsistency_after : float
        ||P S - S|| / ||S|| of the original's spectrum, and of the spectrum S that the attack
        aimed at: that of its sound, 0 but for rounding, or, as published, one that no sound has
        (None if the result does not hold it).
    low_pass : tuple of LowPassed
        The same model behind low-pass filters.
    success_on_spectra : bool, optional
        What the published method counts.
    magnitude_snr_db : float, optional
        The ratio that the published method bounds.

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
    heard_before: str
    heard_after: str
    confidence_before: float
    confidence_after: float
    threshold: float | None
    confidence: tuple[float, ...]
    iterations: int
    snr_asked_db: float
    snr_guaranteed_db: float | None
    snr_db: float
    support_snr_db: float
    segmental_snr_db: float
    clipped_before: int
    clipped: int
    inconsistency_before: float
    inconsistency_after: float | None
    low_pass: tuple[LowPassed, ...] = ()
    success_on_spectra: bool | None = None
    magnitude_snr_db: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give all of it in JSON's types; infinite ratios become None."""
        plain: dict[str, Any] = to_plain(self)
        return plain
