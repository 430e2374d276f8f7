"""Paper C on BALLROOM: small tempo changes break, and improve, classifiers of rhythm features.

The features were computed from recordings that had been stretched in time. There are three splits
into training and test: the published one; the same without the test items that training holds under
another name; and one in which no album and no replica is in both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope import records
from otoscope.data.ballroom import (
    BallroomRhythm,
    album_of,
    load_ballroom,
    load_ballroom_rhythm,
)
from otoscope.errors import ParameterError
from otoscope.intervene import (
    FeatureDilation,
    Interrogation,
    InterrogationResult,
    InterrogationSettings,
)
from otoscope.intervene.statistics.chance import chance_level
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report import interrogation_record
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.interrogation.dose_charts import draw_dose_curve
from otoscope.report.numbers import with_bounds

__all__ = ["CLASSIFIERS", "HorseBallroomFeaturesConfig", "fitted", "horse_ballroom_features"]

CLASSIFIERS = ("LDA", "QDA", "1NN", "9NN")
"""Linear and quadratic discriminant analysis, and nearest neighbours."""


@dataclass(frozen=True)
class HorseBallroomFeaturesConfig:
    """Features, searches and seeds of the experiment.

    Parameters
    ----------
    features : Path
        File ``ballroom_rhythm.npz``.
    ballroom : Path, optional
        Folder of BALLROOM with tempo annotations (.bpm or .beats), for baselines on tempo alone.
    within_percent : tuple of float
        Largest dilation of each search, in percent.
    split_seed : int
        Random seed of the published split.
    seed : int
        Random seed of the split by albums and of the bootstrap.

    Examples
    --------
    >>> HorseBallroomFeaturesConfig(Path("ballroom_rhythm.npz")).within_percent
    (2.0, 6.0)
    """

    features: Path
    ballroom: Path | None = None
    within_percent: tuple[float, ...] = (2.0, 6.0)
    split_seed: int = 123
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Protocol:
    """A split into training and test."""

    name: str
    train: NDArray[np.intp]
    test: NDArray[np.intp]


def horse_ballroom_features(
    config: HorseBallroomFeaturesConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``horse_ballroom_features.json`` (configuration, tables, numbers of the published
    split by name, all results of each split) and ``horse_ballroom_features.svg``. Returns one table
    per split, and one on tempo alone if there are annotations.

    The published split is neither stratified nor aware of replicas. All scores are accuracies, as
    published. Intervals are over the groups that a split keeps together: replicas, or albums.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`; Sturm, mirvaliditytutorial
    :cite:`mirvaliditytutorial` (CC0).
    """
    began = time.monotonic()
    rhythm = load_ballroom_rhythm(config.features)
    out.mkdir(parents=True, exist_ok=True)
    albums = _albums(rhythm)
    results: dict[str, dict[str, dict[str, InterrogationResult]]] = {}
    tempo: dict[str, dict[str, float]] = {}
    for protocol in _protocols(config, rhythm, albums):
        groups = albums if protocol.name == "by album" else list(rhythm.group)
        of_protocol = results[protocol.name] = {}
        for name in tracked(progress, CLASSIFIERS, protocol.name):
            model = fitted(name, rhythm, protocol.train)
            of_protocol[name] = _interrogated(model, config, rhythm, groups, protocol.test)
        if config.ballroom is not None:
            tempo[protocol.name] = _tempo_alone(
                config.ballroom, rhythm, protocol.train, protocol.test, groups=groups
            )
    counts = {"n": len(rhythm.style), "n/replicas": len(rhythm.style) - len(set(rhythm.group))}
    counts |= {f"n/{style}": rhythm.style.count(style) for style in sorted(set(rhythm.style))}
    figures = counts | _figures(results["published"]) | tempo.get("published", {})
    tables = [_table(name, one, config) for name, one in results.items()]
    if tempo:
        tables.append(_tempo_table(tempo))
    record = {
        "settings": config,
        "seconds": round(time.monotonic() - began),
        "versions": records.versions(),
        "figures": figures,
        "tables": tables,
        "tempo": tempo,
        "protocols": {
            protocol: {
                name: {
                    within: interrogation_record(one, is_summary=True)
                    for within, one in of_name.items()
                }
                for name, of_name in of_protocol.items()
            }
            for protocol, of_protocol in results.items()
        },
    }
    write_record(out / "horse_ballroom_features.json", record)
    _draw(results["published"], out / "horse_ballroom_features.svg")
    return tables


def _tempo_alone(
    folder: Path,
    rhythm: BallroomRhythm,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    *,
    groups: Sequence[str],
) -> dict[str, float]:
    """Return accuracies of tempo, and of tempo and meter, and quantiles of each dance's tempo.

    Annotators chose the metrical level of the tempo by the dance: these baselines know some of the
    label, and are an upper bound of what tempo can do.
    """
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    annotated = {one.name: one for one in load_ballroom(folder)}
    missing = [name for name in rhythm.recording if name not in annotated]
    if missing:
        raise ParameterError(
            f"{len(missing)} recordings of the features are not in {folder}: "
            f"{', '.join(missing[:10])}"
        )
    recordings = [annotated[name] for name in rhythm.recording]
    if any(one.tempo_bpm is None for one in recordings):
        raise ParameterError(f"{folder} holds no tempo annotations; looked for .bpm and .beats")
    tempo_bpm = np.array([one.tempo_bpm for one in recordings], dtype=np.float64)
    columns = {
        "tempo": tempo_bpm[:, None],
        "tempo and meter": np.stack([tempo_bpm, [one.meter for one in recordings]], axis=1),
    }
    styles, figures = np.asarray(rhythm.style), dict[str, float]()
    for style in np.unique(styles):
        quantiles = np.quantile(tempo_bpm[styles == style], [0, 0.05, 0.5, 0.95, 1])
        named = zip(("min", "5%", "median", "95%", "max"), quantiles.tolist(), strict=True)
        figures |= {f"bpm/{style}/{name}": bpm for name, bpm in named}
    for name, column in columns.items():
        for n_neighbours in (1, 9):
            neighbours = KNeighborsClassifier(min(n_neighbours, len(train)), weights="distance")
            model = make_pipeline(StandardScaler(), neighbours).fit(column[train], styles[train])
            answers = model.predict(column[test])
            figures[f"tempo/{n_neighbours}NN on {name}"] = float((answers == styles[test]).mean())
            dealt = chance_level(
                styles[test].tolist(),
                answers.tolist(),
                groups=[groups[i] for i in test],
                metric="accuracy",
            )
            figures[f"tempo/{n_neighbours}NN on {name}, by chance"] = dealt.mean
    return figures


def _classifiers() -> dict[str, Callable[[], Any]]:
    from sklearn.discriminant_analysis import (
        LinearDiscriminantAnalysis,
        QuadraticDiscriminantAnalysis,
    )
    from sklearn.neighbors import KNeighborsClassifier

    return {
        "LDA": LinearDiscriminantAnalysis,
        "QDA": QuadraticDiscriminantAnalysis,
        "1NN": lambda: KNeighborsClassifier(1),
        "9NN": lambda: KNeighborsClassifier(9, weights="distance"),
    }


def fitted(
    name: str, rhythm: BallroomRhythm, train: NDArray[np.intp]
) -> Callable[[Tensor], list[str]]:
    """Fit a classifier on the unchanged recordings."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    styles = np.asarray(rhythm.style)[train]
    model = make_pipeline(StandardScaler(), _classifiers()[name]())
    try:
        model.fit(rhythm.features[0][train], styles)
    except (np.linalg.LinAlgError, ValueError) as err:
        few, n_few = min(
            zip(*np.unique(styles, return_counts=True), strict=True), key=lambda one: one[1]
        )
        raise ParameterError(
            f"{name} cannot be trained: {err}; of {few} there are {n_few} recordings"
        ) from err
    return lambda features: [str(style) for style in model.predict(features.numpy())]


def _interrogated(
    model: Callable[[Tensor], list[str]],
    config: HorseBallroomFeaturesConfig,
    rhythm: BallroomRhythm,
    groups: Sequence[str],
    test: NDArray[np.intp],
) -> dict[str, InterrogationResult]:
    """Ask about all dilations, and about those within each bound."""
    available = tuple(map(float, rhythm.features))
    stacked = np.stack([rhythm.features[int(percent)][test] for percent in available], axis=1)
    interrogation = Interrogation(
        model,
        torch.from_numpy(stacked),
        [rhythm.style[i] for i in test],
        groups=[groups[i] for i in test],
        settings=InterrogationSettings(metric="accuracy", seed=config.seed),
    )
    bounds = {f"{percent:g}": percent for percent in config.within_percent}
    bounds["all"] = max(available, key=abs)
    return {
        name: interrogation.run([FeatureDilation(percent, available=available)])
        for name, percent in bounds.items()
    }


def _protocols(
    config: HorseBallroomFeaturesConfig, rhythm: BallroomRhythm, albums: Sequence[str]
) -> list[_Protocol]:
    from sklearn.model_selection import StratifiedGroupKFold, train_test_split

    items = np.arange(len(rhythm.style))
    train, test = train_test_split(items, test_size=0.3, random_state=config.split_seed)
    known = {rhythm.group[i] for i in train}
    unknown = np.array([i for i in test if rhythm.group[i] not in known])
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=config.seed)
    try:
        by_album = next(folds.split(items, rhythm.style, albums))
    except ValueError as err:
        raise ParameterError(f"no split by albums: {err}") from err
    return [
        _Protocol("published", train, test),
        _Protocol("published, less replicas", train, unknown),
        _Protocol("by album", *by_album),
    ]


def _albums(rhythm: BallroomRhythm) -> list[str]:
    """Give each recording the first one that shares its album, or a replica, or theirs in turn."""
    first: dict[str, str] = {}

    def root(name: str) -> str:
        while first.setdefault(name, name) != name:
            name = first[name]
        return name

    shared = []
    for recording, replicas in zip(rhythm.recording, rhythm.group, strict=True):
        shared.append(f"album {album_of(recording) or recording}")
        first[root(f"replicas {replicas}")] = root(shared[-1])
    return [root(album) for album in shared]


def _figures(results: dict[str, dict[str, InterrogationResult]]) -> dict[str, float]:
    """Numbers by name: "lda/accuracy/-4", "lda/inflated/6", "lda/p/-4"."""
    figures = {}
    for name, of_name in results.items():
        key = name.lower()
        figures[f"{key}/accuracy"] = of_name["all"].baseline.value
        if (dealt := of_name["all"].chance) is not None:
            figures[f"{key}/accuracy, by chance"] = dealt.mean
        for point in of_name["all"].curves[0].points:
            figures[f"{key}/accuracy/{point.dose:+g}"] = point.score.value
            if point.p is not None:
                figures[f"{key}/p/{point.dose:+g}"] = point.p
        for within, one in of_name.items():
            (search,) = one.searches
            for what in ("inflated", "deflated", "reachable"):
                figures[f"{key}/{what}/{within}"] = getattr(search, what).value
    return figures


def _table(
    protocol: str,
    results: dict[str, dict[str, InterrogationResult]],
    config: HorseBallroomFeaturesConfig,
) -> ResultTable:
    rows = []
    for name, of_name in results.items():
        row = [name, with_bounds(of_name["all"].baseline, count=3)]
        for percent in config.within_percent:
            (search,) = of_name[f"{percent:g}"].searches
            pushed = search.inflated, search.deflated
            row += [with_bounds(one, count=3) for one in pushed]
            row.append(f"{search.reachable.value:.2f}" if search.reachable else "–")
        rows.append((*row, of_name[f"{max(config.within_percent):g}"].verdict.kind))
    columns = ["classifier", "accuracy"]
    for percent in config.within_percent:
        columns += [f"best within {percent:g} %", f"worst within {percent:g} %", "labels reached"]
    n_test = len(next(iter(results.values()))["all"].items)
    title = f"{protocol}: {n_test} recordings tested"
    return ResultTable(title, (*columns, "verdict"), tuple(rows))


def _tempo_table(tempo: dict[str, dict[str, float]]) -> ResultTable:
    rows = [
        (protocol, name.removeprefix("tempo/"), f"{value:.3f}")
        for protocol, one in tempo.items()
        for name, value in one.items()
        if name.startswith("tempo/")
    ]
    title = "Annotated tempo alone (annotators chose its metrical level by the dance)"
    return ResultTable(title, ("protocol", "classifier", "accuracy"), tuple(rows))


def _draw(results: dict[str, dict[str, InterrogationResult]], path: Path) -> None:
    """Draw accuracy over the dilation, with intervals: one panel per classifier."""
    with svg_figure(path, width=2.6 * len(results), height=2.7) as figure:
        panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
        for panel, (name, of_name) in zip(panels, results.items(), strict=True):
            result = of_name["all"]
            (curve,) = result.curves
            draw_dose_curve(panel, curve, result.baseline, colour=COLOURS[0], marker="")
            panel.set(title=name, xlabel="longer by, %", ylim=(0, 1))
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("accuracy")
