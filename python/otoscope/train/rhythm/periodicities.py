"""Spectral periodicities of the segments of labelled sounds, in memory."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from otoscope.data.labelled import LabelledSound, usable_sounds
from otoscope.errors import ParameterError
from otoscope.models.desperf import DeSPerF
from otoscope.progress import Progress, silent
from otoscope.signal.audio.files import read_audio
from otoscope.signal.audio.truncation import TruncatedSound, truncation

__all__ = ["Periodicities", "read_periodicities"]


@dataclass(frozen=True, eq=False)
class Periodicities:
    """Features of the segments of sounds.

    Parameters
    ----------
    features : sequence of Tensor [segment, lag]
        Features of each sound, not standardised.
    labels : Tensor [sound], int64
        Numbers of the labels.
    skipped : mapping of str to ParameterError
        Sounds that are left out, by name, each with the reason.
    truncated : mapping of str to str
        What lacks in sounds that were cut off, by name.

    Examples
    --------
    >>> Periodicities([torch.zeros(3, 5)], torch.tensor([1])).segment_labels
    tensor([1, 1, 1])
    """

    features: Sequence[Tensor]
    labels: Tensor
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    truncated: Mapping[str, str] = field(default_factory=dict)

    @property
    def segments(self) -> Tensor:
        """Features of all segments, [segment, lag]."""
        return torch.cat(list(self.features))

    @property
    def segment_labels(self) -> Tensor:
        """Label of each segment, [segment]."""
        return self.labels.repeat_interleave(torch.tensor([len(own) for own in self.features]))

    @property
    def digest(self) -> str:
        """SHA-256 over features and labels: what a checkpoint belongs to."""
        content = hashlib.sha256()
        for tensor in (self.segments, self.segment_labels):
            content.update(tensor.contiguous().numpy().tobytes())
        return content.hexdigest()


def read_periodicities(
    sounds: Sequence[LabelledSound],
    system: DeSPerF,
    *,
    progress: Progress = silent,
) -> Periodicities:
    """Read sounds, mixed to mono, and compute the features of their segments.

    Parameters
    ----------
    sounds : sequence of LabelledSound
        Sounds.
    system : DeSPerF
        System whose segments and features they are.
    progress : bool or callable
        True shows a bar.

    Returns
    -------
    Periodicities
        Features, without the sounds that are silent, too short or cannot be read, as jazz.00054 of
        GTZAN: ``skipped`` lists them.

    Raises
    ------
    ParameterError
        If a sound has a label that is not named, none of a label can be used, or more than half of
        all sounds cannot.

    Examples
    --------
    >>> read_periodicities(sounds, DeSPerF(["Rumba", "Waltz"]))  # doctest: +SKIP
    """
    truncated = dict[str, str]()

    def features_of(sound: LabelledSound) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncatedSound)
            y = read_audio(sound.path, sr=system.sample_rate)[0]
        if not bool(y.any()):
            raise ParameterError(f"all {len(y)} samples are silent")
        features = system.features(y)
        if text := truncation(sound.path):
            truncated[sound.name] = text
        return features

    kept, parts, skipped = usable_sounds(
        sounds, system.output_names, features_of, progress=progress
    )
    numbers = [system.output_names.index(sound.label) for sound in kept]
    return Periodicities(parts, torch.tensor(numbers), skipped, truncated)
