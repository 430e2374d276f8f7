"""Parts of the dissection of DeSPerF: what its features, layers and answers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.data.synthesis.styles import STYLES
from otoscope.explain.maximise import ActivationMaximiser, RawPrior
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.models.desperf import DeSPerF
from otoscope.papers.c_horse.desperf.dances import FEATURE, Answers, DanceSizes, answering
from otoscope.papers.c_horse.stretched_dances import HeardDances
from otoscope.taps import recording

__all__ = [
    "BANDS",
    "CLASSIFIERS",
    "bands",
    "classifier",
    "explained",
    "layers",
    "maximised",
]

BANDS = ((0.0, 0.75), (0.75, 1.5), (1.5, 3.0), (3.0, 6.0), (6.0, 12.0), (12.0, 51.0))
"""Repetitions per second: bars, half bars, beats, eighths, sixteenths, and what is faster."""

CLASSIFIERS = ("9NN", "LDA", "QDA", "tree")
"""Nearest neighbours, linear and quadratic discriminant analysis, and a decision tree."""

_N_COMPONENTS = 40  # of QDA, which has a covariance per style
_FASTEST = 12.0  # repetitions per second, of a maximised feature
_NEAREST = 10
_PAIRS = 2000


def standardised(features: Tensor) -> Tensor:
    """Bring rows [..., lag] to mean 0 and deviation 1, as the feature's are."""
    centred = features - features.mean(-1, keepdim=True)
    scale = centred.square().mean(-1, keepdim=True).sqrt()
    return centred / scale.clamp(min=1e-6)


def maximised(system: DeSPerF, probe: HeardDances) -> list[dict[str, Any]]:
    """Find the feature that drives each logit furthest, and describe the clips most like it.

    The search is over features of mean 0 and deviation 1 without repetitions above 12 per second.
    ``probe`` holds clips whose tempo does not reveal their style: are the most similar of them of
    the output's style, or of its tempo?
    """
    clips = _slow(probe.features["periodicity"][:, 0])
    rows = []
    for unit, style in enumerate(system.output_names):
        maximiser = ActivationMaximiser(
            system.network,
            RawPrior((1, FEATURE.n_lags - 1)),
            layer="logits",
            unit=unit,
            prepare=lambda x: (_slow(x.flatten(1)) - system.mean) / system.std,
        )
        best = _slow(
            maximiser.run(rate=0.05, penalty=1e-4, iterations=300, seeds=1).input.flatten()[None]
        )
        nearest = (clips @ best[0]).topk(min(_NEAREST, len(clips))).indices.numpy()
        low, high = STYLES[style].tempo_bpm
        tempi = probe.tempo_bpm[nearest]
        rows.append(
            {
                "style": style,
                "tempo_bpm": [low, high],
                "answer": answering(system)(best)[0],
                "of its style": float(np.mean(probe.style[nearest] == style)),
                "of its tempo": float(np.mean((tempi >= low) & (tempi < high))),
                "by chance, style": float(np.mean(probe.style == style)),
                "by chance, tempo": float(
                    np.mean((probe.tempo_bpm >= low) & (probe.tempo_bpm < high))
                ),
                "nearest, bpm": sorted(tempi.tolist()),
                "feature": [round(value, 2) for value in best[0].tolist()],
            }
        )
    return rows


def _slow(features: Tensor) -> Tensor:
    """Remove repetitions above 12 per second from features [item, lag], and standardise."""
    n_lags = features.shape[-1]
    hz = torch.fft.rfftfreq(n_lags, FEATURE.hop_length / FEATURE.sample_rate)
    return standardised(torch.fft.irfft(torch.fft.rfft(features) * (hz < _FASTEST), n_lags))


def bands(answers: Answers, tested: HeardDances) -> list[dict[str, Any]]:
    """Score the unchanged clips with one band of the feature alone, and without it."""
    features = tested.features["periodicity"][:, 0].double()
    spectrum = torch.fft.rfft(features)
    hz = torch.fft.rfftfreq(features.shape[-1], FEATURE.hop_length / FEATURE.sample_rate)
    scores = GroupBootstrap(tested.style.tolist(), tested.artist.tolist())

    def score(keep: Tensor) -> Any:
        filtered = standardised(torch.fft.irfft(spectrum * keep, features.shape[-1]))
        return scores.estimate(np.array(answers(filtered.float())) == tested.style)

    rows = []
    for low, high in BANDS:
        inside = (hz >= low) & (hz < high)
        rows.append({"band": [low, high], "alone": score(inside), "without": score(~inside)})
    return rows


def layers(system: DeSPerF, known: HeardDances, tested: HeardDances) -> list[dict[str, Any]]:
    """Measure, layer by layer, how far tempo moves the outputs, and what can be read from them.

    Distances are relative to the mean distance of two clips of different styles.
    """
    names = [name for name, _ in system.network.named_children()]
    changed = tested.features["periodicity"]
    n_doses = changed.shape[1] // 2
    before = _outputs(system, names, changed[:, 0])
    far = _outputs(system, names, changed[:, n_doses - 1])
    back = _outputs(system, names, changed[:, -1])
    read = _outputs(system, names, known.features["periodicity"][:, 0])
    rng = np.random.default_rng(0)
    first, second = rng.integers(len(tested.style), size=(2, _PAIRS))
    differ = tested.style[first] != tested.style[second]
    rows = []
    for name in before:
        x = before[name]
        apart = (x[first[differ]] - x[second[differ]]).norm(dim=-1).mean()
        moved, placebo = ((y[name] - x).norm(dim=-1).mean() / apart for y in (far, back))
        rows.append(
            {
                "layer": name,
                "moved": float(moved),
                "placebo": float(placebo),
                **_read(read[name], known, x, tested),
            }
        )
    return rows


def _outputs(system: DeSPerF, names: list[str], features: Tensor) -> dict[str, Tensor]:
    with torch.no_grad(), recording(system.network, *names) as outputs:
        system.decisions(features)
    return {"feature": features, **{name: outputs[name] for name in names}}


def _read(train: Tensor, known: HeardDances, test: Tensor, tested: HeardDances) -> dict[str, float]:
    """Read tempo (R2 of its logarithm) and style (accuracy) by linear models of other artists."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge = make_pipeline(StandardScaler(), RidgeCV(np.geomspace(1, 1e5, 11)))
    ridge.fit(train.numpy(), np.log(known.tempo_bpm))
    tempo = ridge.score(test.numpy(), np.log(tested.tempo_bpm))
    style = classifier("LDA", train, known.style)(test)
    return {"tempo_r2": float(tempo), "style": float(np.mean(np.array(style) == tested.style))}


def classifier(name: str, features: Tensor, labels: NDArray[np.str_], *, seed: int = 0) -> Answers:
    """Fit a classifier in the net's place."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import (
        LinearDiscriminantAnalysis,
        QuadraticDiscriminantAnalysis,
    )
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    fewest = int(np.unique(labels, return_counts=True)[1].min())
    n_components = max(1, min(_N_COMPONENTS, fewest // 2, features.shape[1]))
    steps: Mapping[str, list[Any]] = {
        "9NN": [KNeighborsClassifier(min(9, len(features)), weights="distance")],
        "LDA": [LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")],
        "QDA": [
            PCA(n_components, random_state=seed),
            QuadraticDiscriminantAnalysis(reg_param=0.1),
        ],
        "tree": [DecisionTreeClassifier(min_samples_leaf=2, random_state=seed)],
    }
    model = make_pipeline(StandardScaler(), *steps[name]).fit(features.numpy(), labels)
    return lambda rows: [str(label) for label in model.predict(rows.numpy())]


def explained(
    answers: Answers, known: HeardDances, tested: HeardDances, sizes: DanceSizes
) -> dict[str, Any]:
    """Measure how many of a system's answers nearest neighbours on the true tempo predict.

    The neighbours learn the system's answers to the training's clips. At the doses they are given
    the changed tempo.
    """
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(15, len(known.style)))
    model.fit(np.log(known.tempo_bpm)[:, None], answers(known.features["periodicity"][:, 0]))
    scores = GroupBootstrap(tested.style.tolist(), tested.artist.tolist(), metric="accuracy")
    before = np.array(answers(tested.features["periodicity"][:, 0]))
    agree = model.predict(np.log(tested.tempo_bpm)[:, None]) == before
    rng = np.random.default_rng(0)
    chance = np.mean([np.mean(rng.permutation(before) == before) for _ in range(200)])
    changed = right = 0
    for place, dose in enumerate(sizes.doses, 1):
        after = np.array(answers(tested.features["periodicity"][:, place]))
        predicted = model.predict(np.log(tested.tempo_bpm * (1 + dose / 100))[:, None])
        changed += int((after != before).sum())
        right += int(((after != before) & (after == predicted)).sum())
    return {
        "agreement": scores.estimate(agree),
        "by chance": float(chance),
        "labels": scores.estimate(before == tested.style),
        "changed": changed,
        "changed, predicted": right,
    }
