"""Classifiers of genres that paper E's experiments attack, and what they make of written files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, cast

import torch
from torch import Tensor

from otoscope import models
from otoscope.attack import AttackResult, SpectrumClassifier, aggregate
from otoscope.attack.classifier import kind_of_outputs, predict
from otoscope.attack.evaluation import written
from otoscope.attack.objective import log_posterior
from otoscope.errors import ParameterError
from otoscope.models.bundle import read_card
from otoscope.models.genre import ConvDNN, FrameDNN, OnSpectra
from otoscope.papers.e_adversary._genre_sounds import GenreSettings, GenreTest
from otoscope.progress import Progress
from otoscope.protocols import SoundClassifier, evaluating
from otoscope.signal.snr import snr_db
from otoscope.train.genre import Spectra, fit_forest, train_genre
from otoscope.workflows.recording import load_identified_listener

__all__ = [
    "FOREST_FRAMES",
    "VOTES",
    "GenreSystem",
    "Vote",
    "attack_rows",
    "forest_on",
    "genre_systems",
    "partition_kinds",
    "predicted",
    "system_of",
]

Vote = Literal["soft", "hard"]
VOTES: tuple[Vote, ...] = ("soft", "hard")

_KINDS = ("random", "grouped")
FOREST_FRAMES = 200
"""Frames of a window of the paper's forest."""

_BATCH = 10  # sounds attacked at once


@dataclass(frozen=True, eq=False)
class GenreSystem:
    """A classifier of genres.

    Parameters
    ----------
    name, partition : str
        Name, and the partition whose sounds it was trained on.
    model : callable
        Sounds [batch, sample] -> [batch, decision, label], with ``sample_rate``.
    labels : tuple of str
        Names of its labels.
    identity : dict of str to str
        Digests by which the model is told from others.
    listener : object
        The model as it was loaded.
    """

    name: str
    partition: str
    model: Any
    labels: tuple[str, ...]
    identity: Mapping[str, str]
    listener: Any = None

    @property
    def sample_rate(self) -> float:
        """Sample rate in Hz."""
        return float(self.model.sample_rate)

    @property
    def decides_by_windows(self) -> bool:
        """Whether it is a network of windows, which is slow."""
        return isinstance(getattr(self.listener, "network", None), ConvDNN)

    @property
    def is_of_frames(self) -> bool:
        """Whether it is a network of frames, whose activations a forest takes."""
        return isinstance(getattr(self.listener, "network", None), FrameDNN)

    @property
    def has_gradient(self) -> bool:
        """Whether attacks by gradient apply."""
        return self.listener is not None and getattr(self.listener, "differentiable", True)

    def numbers(self, labels: Sequence[str]) -> Tensor:
        """Return the numbers of labels, int64.

        Raises
        ------
        ParameterError
            If the model does not know a label.
        """
        if unknown := sorted(set(labels) - set(self.labels)):
            raise ParameterError(
                f"{self.name} does not know the label {unknown[0]!r} of the sounds "
                f"({len(unknown)} are unknown); its labels are {', '.join(self.labels)}"
            )
        return torch.tensor([self.labels.index(label) for label in labels])


def partition_kinds(models_of: str) -> tuple[str, ...]:
    """Return the partitions of models "PARTITION=MODEL,PARTITION=MODEL"; both if there are none."""
    return tuple(dict.fromkeys(kind for kind, _ in _named(models_of))) or _KINDS


def genre_systems(
    config: GenreSettings, tests: Mapping[str, GenreTest], out: Path, *, progress: Progress
) -> list[GenreSystem]:
    """Load the models; if none are given, train a network of frames on each partition.

    Raises
    ------
    ParameterError
        If a model cannot be loaded, was trained on another partition by its card, or does not know
        a label of the sounds.
    """
    entries = _named(config.models)
    if not entries:
        for kind, test in tests.items():
            folder = out / "models" / f"frames-{kind}"
            train_genre(
                test.parts, folder, settings=config.own.training, resume=True, progress=progress
            )
            entries.append((kind, str(folder / "model")))
    systems: list[GenreSystem] = []
    for kind, path in entries:
        _check_partition(path, tests[kind])
        listener, identity = load_identified_listener(path, device="cpu")
        stem = Path(path).with_suffix("") if path.endswith((".json", ".safetensors")) else path
        name = Path(stem).parent.name if Path(stem).name == "model" else Path(stem).name
        system = system_of(listener, name, kind, identity)
        if any((other.name, other.partition) == (name, kind) for other in systems):
            raise ParameterError(f"models names two models {name!r} of the partition {kind!r}")
        system.numbers(tests[kind].labels)
        systems.append(system)
    return systems


def system_of(
    listener: Any, name: str, partition: str = "", identity: Mapping[str, str] | None = None
) -> GenreSystem:
    """Make a classifier of sounds from a listening model."""
    network = getattr(listener, "network", None)
    front_end: Any = getattr(listener, "front_end", None)
    model: Any
    if isinstance(network, FrameDNN | ConvDNN) and front_end.filters == "bins":
        model = SpectrumClassifier(
            OnSpectra(network, listener.mean, listener.std, listener.output_names),
            n_fft=front_end.n_fft,
            hop_length=front_end.hop_length,
            sample_rate=front_end.sample_rate,
        )
    else:
        model = SoundClassifier(listener, pooling="none", tail=False)
    labels = getattr(model, "label_names", listener.output_names)  # of one output there are two
    return GenreSystem(name, partition, model, labels, identity or {}, listener)


def forest_on(system: GenreSystem, spectra: Spectra, n_trees: int, *, seed: int = 0) -> GenreSystem:
    """Fit the paper's forest to the activations of a network of frames."""
    forest = fit_forest(
        system.listener, spectra, n_trees=n_trees, n_frames=FOREST_FRAMES, seed=seed
    )
    name = f"forest on {system.name}"
    return GenreSystem(name, system.partition, forest, system.labels, system.identity)


def attack_rows(
    run: Callable[[Tensor, Tensor, int], AttackResult],
    system: GenreSystem,
    test: GenreTest,
    *,
    n: int | None = None,
    judges: Sequence[GenreSystem] = (),
) -> dict[str, list[Any]]:
    """Attack excerpts, write them with 16 bits, and ask the system, and judges, for their labels.

    Parameters
    ----------
    run : callable
        Function (sounds [batch, sample], labels [batch], index of the first) -> AttackResult.
    system : GenreSystem
        The attacked system.
    test : GenreTest
        Sounds.
    n : int, optional
        Number of sounds. Default: all.
    judges : sequence of GenreSystem
        Systems of the same sample rate that were not attacked.

    Returns
    -------
    dict of str to list
        Columns, one value per sound.
    """
    x, y = test.waveforms(system.sample_rate)[:n], system.numbers(test.labels[:n])
    columns: dict[str, list[Any]] = {"label": test.labels[:n], "group": test.groups[:n]}
    with TemporaryDirectory() as folder:
        for first in range(0, len(x), _BATCH):
            part, labels = x[first : first + _BATCH], y[first : first + _BATCH]
            result = run(part, labels, first)
            files = [
                written(Path(folder) / "adversary.wav", sound, system.sample_rate)
                for sound in result.sound
            ]
            for name, values in _judged(result, torch.stack(files), system, judges).items():
                columns.setdefault(name, []).extend(values)
    return columns


def predicted(system: GenreSystem, sounds: Tensor, vote: Vote = "soft") -> list[str]:
    """Return the labels that a system predicts for sounds [sound, sample]."""
    with evaluating(system.model), torch.no_grad():
        labels = []
        for part in sounds.split(_BATCH):
            values = predict(system.model, part)
            kind = kind_of_outputs(system.model, None, values)
            posterior = aggregate(log_posterior(values, kind).exp(), vote)
            labels += [system.labels[i] for i in posterior.argmax(-1).tolist()]
    return labels


def _judged(
    result: AttackResult, files: Tensor, system: GenreSystem, judges: Sequence[GenreSystem]
) -> dict[str, list[Any]]:
    spectra = result.success_on_spectra
    claimed = result.success if spectra is None else spectra
    return {
        "target": [system.labels[i] for i in result.labels.tolist()],
        **{
            f"{when}_{vote}": predicted(system, sounds, vote)
            for when, sounds in (("before", result.original), ("after", files))
            for vote in VOTES
        },
        "claimed": claimed.tolist(),
        "iterations": result.iterations.tolist(),
        "snr_db": [round(value, 3) for value in snr_db(result.original, files).tolist()],
        **{f"by_{judge.name}": predicted(judge, files) for judge in judges},
    }


def _named(models_of: str) -> list[tuple[str, str]]:
    """Split "PARTITION=MODEL,PARTITION=MODEL" into pairs."""
    entries = [entry.strip() for entry in models_of.split(",") if entry.strip()]
    pairs = [tuple(entry.split("=", 1)) for entry in entries]
    for entry, pair in zip(entries, pairs, strict=True):
        if len(pair) != 2 or not all(pair):
            raise ParameterError(
                f"models has {entry!r}, must be PARTITION=MODEL, several separated by commas, such "
                "as random=frames.json,grouped=windows.json"
            )
    return cast(list[tuple[str, str]], pairs)


def _check_partition(path: str, test: GenreTest) -> None:
    """Refuse a bundle whose card tells of another partition."""
    stem = path.removesuffix(".json").removesuffix(".safetensors")
    own = Path(models.__file__ or "").parent / "bundles" / stem
    for bundle in (Path(stem), own):
        if not Path(f"{bundle}.json").is_file():
            continue
        partition = read_card(bundle).get("partition", test.parts.digest)
        if partition != test.parts.digest:
            raise ParameterError(
                f"{path} was trained on another partition than {test.kind!r} of these sounds: it "
                "may know them; give its corpus, lists and partition_seed"
            )
        return
