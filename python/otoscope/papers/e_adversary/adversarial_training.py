"""Does training against adversaries help? The paper's single step, and projected descent.

Networks of frames, or of windows, are trained plainly, on single-step perturbations of a fixed
network (the paper's recipe), and on adversaries of themselves, several times each. Their resilience
is measured on written audio by the search for the largest ratio that still fools them, and by an
ensemble of strong attacks at one ratio. Masked gradients would show: as sounds that nothing fools
without a bound, or that a black box alone fools.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from otoscope.attack import WaveformPGD
from otoscope.attack.evaluation import written
from otoscope.attack.strong import APGD, FABT, Ensemble, LeastNorm, Square
from otoscope.errors import ParameterError
from otoscope.models import load
from otoscope.papers.e_adversary._genre_sounds import GenreTest, OwnCorpus, genre_tests
from otoscope.papers.e_adversary._genre_systems import GenreSystem, predicted, system_of
from otoscope.papers.e_adversary._training_tables import draw_training, training_tables
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.seeds import torch_generator
from otoscope.signal import magnitude_spectrum
from otoscope.signal.snr import add_noise, snr_db
from otoscope.train.genre import Spectra, one_step, pgd, read_spectra, train_on_spectra

__all__ = ["AdversarialTrainingConfig", "adversarial_training"]

_NAME = "adversarial_training"
_RECIPES = ("plain", "one step", "pgd")
_LOWEST_DB = 1.0  # almost without a bound
_TARGETS = 3
_CHANNELS = 8


@dataclass(frozen=True)
class AdversarialTrainingConfig:
    """Settings of the experiment adversarial-training.

    Parameters
    ----------
    corpus : Path, optional
        Folder of ``otoscope corpus genres``, GTZAN, or any with a folder of sounds per label.
        Default: a corpus of the package's own band, rendered into the results.
    lists : Path, optional
        Folder of lists of the partition, as of ``otoscope train genre``.
    partition : str
        How sounds are divided, as in ``otoscope train genre``.
    partition_seed : int
        Random seed of the partition.
    system : {"frames", "windows"}
        Networks that are trained: of frames, or of windows of 100 frames.
    channels : int, optional
        Filters of each convolution, of windows only; the paper's network has 32. Default: 8.
    trainings : int
        Number of trainings of each recipe, with other weights and another order, >= 2.
    every : int
        Train on each frame of this number, or on the windows that begin at these, >= 1.
    batch, epochs : int
        Frames or windows in a batch, and largest number of passes over them.
    learning_rate : float
        Rate of the training, > 0; the paper's is 0.01 for frames and 0.001 for windows.
    epsilon : float
        Length of the single step in each bin, in standard deviations of the bin.
    radius : float
        Norm of the change of a frame in the training against projected descent, likewise.
    pgd_steps : int
        Number of steps of that descent.
    n : int
        Number of sounds of the test part, >= 2.
    n_strong : int
        Number of these that the ensemble of strong attacks is tried on, >= 1.
    seconds : float
        Length of the excerpt from the middle of each sound, in seconds.
    steps : int
        Maximum number of steps of the attacks at each ratio; the black box has ten times as many
        queries.
    bound_db : float
        Signal-to-noise ratio of the ensemble, and of the comparison of recipes, dB.
    seed : int
        Random seed.
    own : OwnCorpus
        Corpus where none is given, and settings of the training.
    """

    corpus: Path | None = None
    lists: Path | None = None
    partition: str = "grouped"
    partition_seed: int = 0
    system: Literal["frames", "windows"] = "frames"
    channels: int | None = None
    trainings: int = 5
    every: int = 8
    batch: int = 400
    epochs: int = 60
    learning_rate: float = 0.01
    epsilon: float = 0.1
    radius: float = 2.0
    pgd_steps: int = 5
    n: int = 40
    n_strong: int = 20
    seconds: float = 5.0
    steps: int = 20
    bound_db: float = 40.0
    seed: int = 0
    own: OwnCorpus = field(default_factory=OwnCorpus)

    def __post_init__(self) -> None:
        if self.system not in ("frames", "windows"):
            raise ParameterError(f"system is {self.system!r}, must be 'frames' or 'windows'")
        if self.channels is not None and self.system == "frames":
            raise ParameterError(f"channels is {self.channels}; networks of frames have none")
        least = {"trainings": 2, "every": 1, "batch": 1, "epochs": 1, "n": 2, "n_strong": 1}
        for name, low in {**least, "steps": 1, "pgd_steps": 1}.items():
            if getattr(self, name) < low:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {low}")

    @classmethod
    def quick(cls) -> AdversarialTrainingConfig:
        """Return a small version: four genres, two trainings of seconds for each recipe."""
        return cls(
            trainings=2,
            every=4,
            batch=200,
            epochs=10,
            learning_rate=0.05,
            pgd_steps=2,
            n=8,
            n_strong=2,
            steps=5,
            own=OwnCorpus.quick(),
        )


def adversarial_training(
    config: AdversarialTrainingConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment; write its record and its figure.

    Parameters
    ----------
    config : AdversarialTrainingConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``adversarial_training.json``,
        ``adversarial_training.svg`` and the networks. An interrupted run is continued.
    progress : bool or callable
        True shows bars.

    Returns
    -------
    list of ResultTable
        Resilience by recipe, checks of the gradients, and robustness curves.

    Raises
    ------
    ParameterError
        If a setting, the corpus or a list is wrong, or a sound is silent or too short.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section V; Madry et al. (2018)
    :cite:`madry2018`; Athalye et al. (2018) :cite:`athalye2018`: masked gradients.

    Examples
    --------
    >>> adversarial_training(AdversarialTrainingConfig.quick(), Path("t"))  # doctest: +SKIP
    """
    out.mkdir(parents=True, exist_ok=True)
    kind = config.partition
    test = genre_tests(config, [kind], out, progress=progress)[kind]
    train, valid = (
        read_spectra(part, magnitude_spectrum(), test.parts.labels, progress=progress)
        for part in (test.parts.train, test.parts.valid)
    )
    if config.system == "frames":
        train, valid = train.thinned(config.every), valid.thinned(config.every)
    entries = [(recipe, number) for recipe in _RECIPES for number in range(config.trainings)]

    def compute(index: int) -> dict[str, Any]:
        recipe, number = entries[index]
        system, epochs = _trained(recipe, number, train, valid, test, config, out)
        measured = _measured(system, test, config)
        return {"recipe": recipe, "training": number, "epochs": epochs, **measured}

    settings = {"config": config, "sounds": [test.parts.digest, train.digest]}
    names = [f"{recipe}/{number}" for recipe, number in entries]
    rows = rows_of_songs(out, _NAME, settings, names, compute, progress=progress, shown="trainings")
    tables = training_tables(rows, config.bound_db, config.seed)
    draw_training(rows, out / f"{_NAME}.svg", config.seed)
    write_run(out, _NAME, config, tables, rows, {"labels": test.parts.labels})
    return tables


def _trained(
    recipe: str,
    number: int,
    train: Spectra,
    valid: Spectra,
    test: GenreTest,
    config: AdversarialTrainingConfig,
    out: Path,
) -> tuple[GenreSystem, float]:
    """Train a network; the single step is that of the plain network of the same number."""
    folder = out / "models"
    settings = replace(
        config.own.training,
        system=config.system,
        **_of_windows(config),
        batch=config.batch,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        seed=1000 * config.seed + number,
    )
    adversary = None
    if recipe == "one step":
        adversary = one_step(
            load(folder / f"plain-{number}" / "model.json").network, config.epsilon
        )
    elif recipe == "pgd":
        adversary = pgd(config.pgd_steps, config.radius)
    path = folder / f"{recipe.replace(' ', '-')}-{number}"
    result = train_on_spectra(
        train,
        valid,
        path,
        labels=test.parts.labels,
        settings=settings,
        card={"partition": test.parts.digest},
        adversary=adversary,
        resume=True,
    )
    return system_of(result.model, path.name, test.kind), result.epochs


def _of_windows(config: AdversarialTrainingConfig) -> dict[str, Any]:
    if config.system == "frames":
        return {}
    return {"window_hop": config.every, "channels": config.channels or _CHANNELS}


def _measured(
    system: GenreSystem, test: GenreTest, config: AdversarialTrainingConfig
) -> dict[str, list[Any]]:
    """Find the largest ratio that fools a network with each sound that it classifies rightly."""
    x, y = test.waveforms(system.sample_rate), system.numbers(test.labels)
    heard = predicted(system, x)
    right = [i for i, (a, b) in enumerate(zip(heard, test.labels, strict=True)) if a == b]
    columns: dict[str, list[Any]] = {
        "label": test.labels,
        "group": test.groups,
        "heard": heard,
        **{name: [None] * len(x) for name in ("found_db", "by", "by_black_box", "noise")},
    }
    if not right:
        return columns
    attacks: dict[str, APGD | WaveformPGD] = {  # where one is stuck, the other often is not
        "apgd": APGD(system.model, steps=config.steps, seed=config.seed),
        "pgd": WaveformPGD(system.model, steps=config.steps, seed=config.seed),
    }
    for name, attack in attacks.items():
        search = LeastNorm(
            attack, lowest_db=_LOWEST_DB, highest_db=75.0, tolerance_db=1.0, in_16_bits=True
        )
        nearest = search.run(x[right], y[right]).sound
        for i, ratio in zip(right, _ratios(system, x[right], nearest, y[right]), strict=True):
            if ratio is not None and ratio > (columns["found_db"][i] or 0.0):
                columns["found_db"][i], columns["by"][i] = ratio, name
    some = right[: config.n_strong]
    survivors = [i for i in some if (columns["found_db"][i] or 0.0) < config.bound_db]
    if survivors:
        _try_all(system, x, y, survivors, columns, config)
    square = _square(system, config).run(x[some], y[some]).sound
    for i, ratio in zip(some, _ratios(system, x[some], square, y[some]), strict=True):
        columns["by_black_box"][i] = ratio is not None
    for i in right:
        if (ratio := columns["found_db"][i]) is not None:
            generator = torch_generator(config.seed, i)
            noisy = add_noise(x[i], snr_db=ratio, generator=generator).clamp(-1, 1)
            columns["noise"][i] = predicted(system, noisy[None]) != [heard[i]]
    return columns


def _try_all(
    system: GenreSystem,
    x: Tensor,
    y: Tensor,
    survivors: list[int],
    columns: dict[str, list[Any]],
    config: AdversarialTrainingConfig,
) -> None:
    """Try other attacks on sounds that the search did not fool at the bound."""
    shared: dict[str, Any] = {"snr_db": config.bound_db, "steps": config.steps, "seed": config.seed}
    n_targets = min(_TARGETS, len(system.labels) - 1)
    ensemble = Ensemble(
        {
            "ce": APGD(system.model, loss="ce", **shared),
            "targets": APGD(system.model, n_targets=n_targets, **shared),
            "fab": FABT(system.model, n_targets=n_targets, **shared),
            "square": _square(system, config),
        }
    )
    result = ensemble.run(x[survivors], y[survivors])
    ratios = _ratios(system, x[survivors], result.sound, y[survivors])
    for i, ratio, name in zip(survivors, ratios, result.fooled_by, strict=True):
        if ratio is not None and name:
            columns["found_db"][i], columns["by"][i] = ratio, name


def _square(system: GenreSystem, config: AdversarialTrainingConfig) -> Square:
    return Square(system.model, snr_db=config.bound_db, steps=10 * config.steps, seed=config.seed)


def _ratios(system: GenreSystem, x: Tensor, sounds: Tensor, y: Tensor) -> list[float | None]:
    """Return the ratios of those written files that fool a network, None for the others."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "adversary.wav"
        files = torch.stack([written(path, sound, system.sample_rate) for sound in sounds])
    ratios = snr_db(x, files).tolist()
    labels = [system.labels[i] for i in y.tolist()]
    return [
        round(ratio, 3) if answer != label else None
        for ratio, answer, label in zip(ratios, predicted(system, files), labels, strict=True)
    ]
