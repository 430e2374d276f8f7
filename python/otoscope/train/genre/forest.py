"""The third system of paper E: a random forest on what a network of frames makes of a sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.models.genre import FrameDNN
from otoscope.models.listener import Listener
from otoscope.train.genre.spectra import Spectra

__all__ = ["GenreForest", "fit_forest"]


@dataclass(frozen=True, eq=False)
class GenreForest:
    """Classify sounds by a forest on mean and deviation of a network's hidden activations.

    It gives no gradient: attack it by `otoscope.attack.strong.Square`, or with sounds that fool
    another system.

    Parameters
    ----------
    model : Listener
        Model whose network is a `FrameDNN`.
    forest : RandomForestClassifier
        Forest on [window, feature]; its classes are the numbers of the labels.
    n_frames : int
        Frames of a window.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> fit_forest(model, spectra)(torch.zeros(1, 661500)).shape  # doctest: +SKIP
    torch.Size([1, 6, 10])
    """

    model: Listener
    forest: RandomForestClassifier
    n_frames: int

    outputs = "probabilities"

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.model.output_names

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz."""
        return self.model.sample_rate

    def __call__(self, sound: Tensor) -> Tensor:
        """Compute probabilities [batch, window, label] of sounds [batch, sample].

        Raises
        ------
        ParameterError
            If a sound is shorter than a window.
        """
        front_end: Any = self.model.front_end
        features = [
            _features(self.model, magnitudes, self.n_frames)
            for magnitudes in front_end.mel(sound.detach())
        ]
        if not len(features[0]):
            raise ParameterError(
                f"the sound has {sound.shape[1]} samples, a window of {self.n_frames} frames needs "
                f"{front_end.n_samples(self.n_frames)}"
            )
        answers = self.forest.predict_proba(np.concatenate(features))  # one call: it is slow
        known = np.zeros((len(sound), len(features[0]), len(self.output_names)))
        known[..., self.forest.classes_] = answers.reshape(*known.shape[:2], -1)
        return torch.from_numpy(known).to(sound)


def fit_forest(
    model: Listener, spectra: Spectra, *, n_trees: int = 500, n_frames: int = 200, seed: int = 0
) -> GenreForest:
    """Fit a forest to the windows of sounds.

    Parameters
    ----------
    model : Listener
        Model whose network is a `FrameDNN`, of the labels of the spectra.
    spectra : Spectra
        Sounds to train on.
    n_trees, n_frames : int
        Number of trees, and frames of a window, >= 1.
    seed : int
        Random seed.

    Returns
    -------
    GenreForest
        Classifier of sounds.

    Raises
    ------
    ParameterError
        If the network is another one, a number is below 1, or no sound has a whole window.

    Examples
    --------
    >>> fit_forest(model, spectra, n_trees=100)  # doctest: +SKIP
    """
    if not isinstance(model.network, FrameDNN):
        raise ParameterError(f"the network is {type(model.network).__name__}, must be a FrameDNN")
    if n_trees < 1 or n_frames < 1:
        raise ParameterError(f"n_trees is {n_trees} and n_frames {n_frames}; both must be >= 1")
    features, labels = [], []
    for label, part in zip(spectra.labels, spectra.parts(), strict=True):
        made = _features(model, part, n_frames)
        features.append(made)
        labels += [int(label)] * len(made)
    if not labels:
        raise ParameterError(f"no sound has {n_frames} frames")
    forest = RandomForestClassifier(n_trees, random_state=seed)
    forest.fit(np.concatenate(features), labels)
    return GenreForest(model, forest, n_frames)


@torch.no_grad()
def _features(model: Listener, magnitudes: Tensor, n_frames: int) -> NDArray[np.float64]:
    """Compute mean and deviation [window, 2 * unit] of activations of magnitudes [frame, bin]."""
    values = (magnitudes - model.mean) / model.std
    activations = model.network.activations(values).double()  # type: ignore[operator]
    n = len(activations) // n_frames
    windows = activations[: n * n_frames].unflatten(0, (n, n_frames)).numpy()
    return np.concatenate([windows.mean(1), windows.std(1)], 1)
