"""Systems of the experiment horse-planted: horses, honest ones, and one that errs at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from otoscope.intervene import Interrogation, InterrogationResult, InterrogationSettings
from otoscope.papers.c_horse.stretched_dances import HeardDances, StretchedTempo
from otoscope.signal.rhythm.scale_transform import ScaleTransform
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity

__all__ = [
    "FEATURES",
    "HONEST",
    "HORSE",
    "SR",
    "SYSTEMS",
    "PlantedSystem",
    "erring",
    "interrogate_dances",
    "trained",
]

SR = 8000
"""Samples a second of all dances: their rhythm needs no more."""

FEATURES: dict[str, Callable[[Tensor], Tensor]] = {
    "periodicity": SpectralPeriodicity(sample_rate=SR, n_fft=744, hop_length=160),
    "scale": ScaleTransform(sample_rate=SR, n_fft=372, hop_length=93),
}
"""Frames of 93 ms every 20 ms; of 46 ms every 12 ms."""

_RIGHT = 0.7  # of systems that err at random: the chance not to guess


@dataclass(frozen=True)
class PlantedSystem:
    """A system: its features, its classifier, and the confounding of its corpora.

    ``hears`` names `SpectralPeriodicity`, which moves with tempo, or `ScaleTransform`, which hardly
    does. ``classifier`` is linear discriminant analysis with shrinkage, nearest neighbours, or a
    network of three layers. ``confounding`` is the probability that the tempo of a clip is its
    style's own.

    Examples
    --------
    >>> [system.name for system in SYSTEMS if system.classifier == "net"]
    ['deep net, confounded', 'deep net, separated']
    """

    name: str
    hears: Literal["periodicity", "scale"]
    classifier: Literal["LDA", "9NN", "net"]
    confounding: float


HORSE = PlantedSystem("tempo horse", "periodicity", "LDA", 1.0)
HONEST = PlantedSystem("pattern model", "scale", "LDA", 0.0)
SYSTEMS = (
    HORSE,
    PlantedSystem("tempo horse, neighbours", "periodicity", "9NN", 1.0),
    HONEST,
    PlantedSystem("pattern model, confounded", "scale", "LDA", 1.0),
    PlantedSystem("deep net, confounded", "periodicity", "net", 1.0),
    PlantedSystem("deep net, separated", "periodicity", "net", 0.0),
)
"""A horse twice, an honest model, the same on confounded dances, and DeSPerF's like both ways."""


def trained(
    system: PlantedSystem, known: HeardDances, *, seed: int
) -> Callable[[Tensor], list[str]]:
    """Train a system on a corpus's unchanged clips: it answers features with styles."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = {
        "LDA": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "9NN": lambda: KNeighborsClassifier(9, weights="distance"),
        "net": lambda: MLPClassifier((100, 100, 100), max_iter=500, random_state=seed),
    }[system.classifier]()
    model = make_pipeline(StandardScaler(), classifier)
    model.fit(known.features[system.hears][:, 0].numpy(), known.style)
    return lambda features: [str(label) for label in model.predict(features.numpy())]


def erring(
    tested: HeardDances, rng: np.random.Generator
) -> tuple[Callable[[Tensor], list[str]], Tensor]:
    """Make a system that is given the style and errs at random, whatever the tempo.

    Returns the system, and its input: Tensor [clip, rendering, 1].
    """
    styles, style_codes = np.unique(tested.style, return_inverse=True)

    def predict(style_codes: Tensor) -> list[str]:
        right = style_codes[:, 0].long().numpy()
        guessed = rng.integers(len(styles), size=len(right))
        answers = np.where(rng.random(len(right)) < _RIGHT, right, guessed)
        return [str(style) for style in styles[answers]]

    n_renderings = tested.features["scale"].shape[1]
    return predict, torch.from_numpy(style_codes).float()[:, None, None].expand(-1, n_renderings, 1)


def interrogate_dances(
    predict: Callable[[Tensor], Sequence[str]],
    features: Tensor,
    tested: HeardDances,
    doses: Sequence[float],
    *,
    seed: int,
) -> InterrogationResult:
    """Interrogate a system on dances at several tempi, and their placebos."""
    tempo = StretchedTempo(max(doses, key=abs), available=(0, *doses))
    interrogation = Interrogation(
        predict,
        features,
        tested.style.tolist(),
        groups=tested.artist.tolist(),
        confound=tested.tempo_bpm,
        settings=InterrogationSettings(seed=seed),
    )
    return interrogation.run([tempo], doses={StretchedTempo.name: doses})
