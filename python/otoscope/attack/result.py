"""Result of an attack, one row per sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from otoscope.display import Shown, data_frame

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["AttackResult"]

_MEASURES = (
    "success",
    "iterations",
    "confidence_before",
    "confidence_after",
    "snr_db",
    "segmental_snr_db",
    "clipped",
    "success_on_spectra",
    "magnitude_snr_db",
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AttackResult(Shown):
    """Adversaries and their measures.

    Parameters
    ----------
    original, sound : Tensor [batch, sample]
        Sounds before and after; a batch of one for a single sound.
    labels : Tensor [batch] or [batch, frame], int64
        Labels to reach, or to leave.
    targeted : bool
        True if the labels were to be reached.
    success : Tensor [batch], bool
        Success by the attack's criterion, on ``sound``. Writing a file rounds the sound: count
        success on the file, with `evaluate`.
    iterations : Tensor [batch], int64
        Number of steps of the best search; 0: the original has the aimed prediction already, and
        the sound is unchanged.
    confidence : Tensor [batch, iteration]
        Confidence in the aim (the target, or the strongest label other than the one to leave)
        before each step and after the last; NaN after the stop.
    confidence_before, confidence_after : Tensor [batch]
        Confidence for ``original`` and for ``sound``.
    snr_db : Tensor [batch], float64
        Signal-to-noise ratio over all samples, exact; inf where the sound is unchanged.
    segmental_snr_db : Tensor [batch], float64
        Ratio of the worst segment; -inf where something was added to digital silence.
    clipped : Tensor [batch], int64
        Number of samples of the original at the limit of the amplitude, where an adversary can only
        move inwards; a clipped recording is no clean reference.
    success_on_spectra : Tensor [batch], bool, optional
        Success as the published method counts it: for a `SpectrumClassifier` on inconsistent
        spectra, for a model of sounds on the inverse of these.
    magnitude_snr_db : Tensor [batch], float64, optional
        Signal-to-noise ratio of those magnitudes.
    spectrum : Tensor [batch, frame, bin], complex, optional
        Those spectra, with the phase of the sound.
    sr : float, optional
        Sample rate in hertz, if the attack knows it.
    label_names : tuple of str
        Names of the labels; empty if the model has none.

    Examples
    --------
    >>> import torch
    >>> from otoscope.attack import WaveformPGD
    >>> result = WaveformPGD(torch.nn.Linear(100, 2)).run(torch.rand(3, 100))
    >>> result.difference.shape
    torch.Size([3, 100])
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
    sr: float | None = None
    label_names: tuple[str, ...] = ()

    @property
    def difference(self) -> Tensor:
        """Difference from the original: Tensor [batch, sample]."""
        return self.sound - self.original

    @property
    def shown(self) -> int:
        """Sound that stands for all: a fooled one if any, with the largest change of confidence."""
        change = (self.confidence_after - self.confidence_before).abs()
        return int((change + 2 * self.success).argmax())

    def to_dataframe(self) -> DataFrame:
        """Return the measures as a tidy table: one row per sound.

        Returns
        -------
        pandas.DataFrame
            Columns ``sound`` (its index in the batch), ``label`` (NaN for labels per frame),
            ``targeted``, ``success``, ``iterations``, ``confidence_before``, ``confidence_after``,
            ``snr_db``, ``segmental_snr_db``, ``clipped``, ``success_on_spectra`` and
            ``magnitude_snr_db``. Unknown numbers are NaN.

        Raises
        ------
        MissingExtra
            If pandas is not installed.

        Examples
        --------
        >>> import torch
        >>> from otoscope.attack import WaveformPGD
        >>> result = WaveformPGD(torch.nn.Linear(100, 2)).run(torch.rand(3, 100))
        >>> result.to_dataframe()["sound"].tolist()
        [0, 1, 2]
        """
        measures = {
            name: value.tolist()
            for name in _MEASURES
            if isinstance(value := getattr(self, name), Tensor)
        }
        if self.labels.ndim == 1:
            measures["label"] = self.labels.tolist()
        rows = (
            {
                "sound": i,
                "targeted": self.targeted,
                **{name: measures[name][i] for name in measures},
            }
            for i in range(len(self.sound))
        )
        return data_frame(rows, ("sound", "label", "targeted", *_MEASURES))
