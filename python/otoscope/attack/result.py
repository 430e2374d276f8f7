"""What an attack did, sound by sound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["AttackResult"]


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackResult:
    """Adversaries, and how they came about.

    Parameters
    ----------
    original, sound : Tensor [batch, sample]
        Before and after; a batch of one for a single sound.
    labels : Tensor [batch] or [batch, frame], int64
        To reach, or to leave.
    targeted : bool
        Whether they were to be reached.
    success : Tensor [batch], bool
        By the attack's criterion, on ``sound`` as it is here. Written to a file it is rounded:
        count there.
    iterations : Tensor [batch], int64
        Steps of the search that is kept (of several restarts the best one's); 0: it was so
        already, and the sound is unchanged.
    confidence : Tensor [batch, iteration]
        In the aim (the target, or the strongest label other than the one to leave) before each
        step and after the last; NaN after the stop.
    confidence_before, confidence_after : Tensor [batch]
        Of ``original`` and of ``sound``.
    snr_db : Tensor [batch], float64
        Over all samples, exact; inf where the sound is unchanged.
    segmental_snr_db : Tensor [batch], float64
        Of the worst segment; -inf where something was added to digital silence.
    clipped : Tensor [batch], int64
        Samples of the original at the end of the amplitude's range: there an adversary can only
        go inwards, and a clipped recording is no clean reference.
    success_on_spectra : Tensor [batch], bool, optional
        What the published method counts: of a `SpectrumClassifier`, the model on spectra that no
        sound need have; of a model of sound, the model on the inverse of these.
    magnitude_snr_db : Tensor [batch], float64, optional
        Ratio of those magnitudes.
    spectrum : Tensor [batch, frame, bin], complex, optional
        Those spectra, with the phase that the sound is made with.

    Examples
    --------
    >>> attack.run(x).success.float().mean()  # doctest: +SKIP
    tensor(0.9500)
    """

    original: Tensor
    sound: Tensor
    labels: Tensor
    targeted: bool
    success: Tensor
    iterations: Tensor
    confidence: Tensor
    confidence_before: Tensor
    confidence_after: Tensor
    snr_db: Tensor
    segmental_snr_db: Tensor
    clipped: Tensor
    success_on_spectra: Tensor | None = None
    magnitude_snr_db: Tensor | None = None
    spectrum: Tensor | None = None

    @property
    def difference(self) -> Tensor:
        """What was added: Tensor [batch, sample]."""
        return self.sound - self.original
