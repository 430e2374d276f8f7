"""Paper E's tables: adversaries of its networks of genres, counted on written audio.

Each network is attacked on sounds that it was not trained on, so that all answers are wrong (any
other label, or a drawn one), that all are right (accuracy inflated), or that all are random: on the
waveform, and on magnitudes with the paper's presets. The random forest, which has no gradient,
hears the sounds that fool its network of frames, and is attacked by a black box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from otoscope.attack import AttackResult, Goal, MagnitudeAdversary, WaveformPGD
from otoscope.attack.base import Attack
from otoscope.attack.strong import Square
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary._genre_sounds import (
    GenreTest,
    OwnCorpus,
    genre_tests,
    soundfonts,
)
from otoscope.papers.e_adversary._genre_systems import (
    VOTES,
    GenreSystem,
    Vote,
    attack_rows,
    forest_on,
    genre_systems,
    partition_kinds,
)
from otoscope.papers.e_adversary._genre_tables import draw_genres, genre_tables
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.train.genre import Spectra, read_spectra

__all__ = ["AdversaryGenreConfig", "adversary_genre"]

_NAME = "adversary_genre"
_AIMS = ("all_wrong", "truth", "random")  # labels to reach
_ANY = "any_wrong"  # only the label to leave


@dataclass(frozen=True)
class AdversaryGenreConfig:
    """Settings of the experiment adversary-genre.

    Parameters
    ----------
    corpus : Path, optional
        Folder of ``otoscope corpus genres``, GTZAN, or any with a folder of sounds per label.
        Default: a corpus of the package's own band, rendered into the results.
    lists : Path, optional
        Folder of lists of the partitions, as of ``otoscope train genre``.
    models : str
        Models as PARTITION=MODEL, separated by commas: random=frames.json,grouped=windows.json.
        Default: a network of frames, trained on each partition.
    partition_seed : int
        Random seed of the partitions, that of the trainings.
    n : int
        Number of sounds of each partition's test part, >= 2.
    n_windows : int
        Number of these that networks of windows are attacked with, >= 2; they take ten times as
        long.
    seconds : float
        Length of the excerpt from the middle of each sound, in seconds.
    snr_db : float
        Minimum signal-to-noise ratio of the attacks on the waveform and of the black box, dB.
    magnitude_snr_db : float
        Minimum ratio of the attacks on magnitudes, dB; 15 is the paper's.
    steps : int
        Maximum number of steps on the waveform.
    trees : int
        Number of trees of the forest on the first network of frames; 0: no forest.
    queries : int
        Number of queries of the black box.
    seed : int
        Random seed.
    own : OwnCorpus
        Corpus and training where none is given.
    """

    corpus: Path | None = None
    lists: Path | None = None
    models: str = ""
    partition_seed: int = 0
    n: int = 100
    n_windows: int = 40
    seconds: float = 5.0
    snr_db: float = 40.0
    magnitude_snr_db: float = 15.0
    steps: int = 100
    trees: int = 500
    queries: int = 300
    seed: int = 0
    own: OwnCorpus = field(default_factory=OwnCorpus)

    def __post_init__(self) -> None:
        for name, least in (("n", 2), ("n_windows", 2), ("steps", 1), ("trees", 0), ("queries", 1)):
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {least}")

    @classmethod
    def quick(cls) -> AdversaryGenreConfig:
        """Return a small version: four genres of short clips, networks trained in seconds."""
        return cls(n=8, n_windows=8, steps=30, trees=20, queries=20, own=OwnCorpus.quick())


@dataclass(frozen=True, eq=False)
class _Cell:
    """An attack on a system: its names, and how it is made."""

    system: GenreSystem
    method: str
    vote: Vote
    aim: str
    make: Callable[[], Attack]

    @property
    def name(self) -> str:
        names = (self.system.partition, self.system.name, self.method, self.vote, self.aim)
        return "/".join(names)


def adversary_genre(
    config: AdversaryGenreConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment; write its record and its figure.

    Parameters
    ----------
    config : AdversaryGenreConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``adversary_genre.json`` (settings, tables, labels
        of every sound) and ``adversary_genre.svg`` (confusion matrices). An interrupted run is
        continued.
    progress : bool or callable
        True shows bars.

    Returns
    -------
    list of ResultTable
        Mean recall, what was reached, and baselines.

    Raises
    ------
    ParameterError
        If a setting, the corpus, a list or a model is wrong, or a sound is silent or too short.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section V.

    Examples
    --------
    >>> adversary_genre(AdversaryGenreConfig.quick(), Path("genre"))  # doctest: +SKIP
    """
    out.mkdir(parents=True, exist_ok=True)
    tests = genre_tests(config, partition_kinds(config.models), out, progress=progress)
    systems = genre_systems(config, tests, out, progress=progress)
    corpus = config.corpus or out / "corpus"
    cells, forests, baselines = [], dict[str, GenreSystem](), []
    for kind, test in tests.items():
        of_kind = [system for system in systems if system.partition == kind]
        heard = next((system for system in of_kind if system.is_of_frames), None)
        if heard is not None:
            spectra = read_spectra(
                test.parts.train, heard.listener.front_end, test.parts.labels, progress=progress
            )
            baselines.append({"partition": kind, **_spectrum_baseline(test, heard, spectra)})
            if config.trees:
                forests[kind] = forest_on(heard, spectra, config.trees, seed=config.seed)
        if (by_font := _soundfont_baseline(test, corpus)) is not None:
            baselines.append({"partition": kind, **by_font})
        cells += [cell for system in of_kind for cell in _cells(system, config)]
        cells += _cells(forests[kind], config) if kind in forests else []

    def compute(index: int) -> dict[str, Any]:
        cell = cells[index]
        test, forest = tests[cell.system.partition], forests.get(cell.system.partition)
        hears = forest is not None and forest.name == f"forest on {cell.system.name}"
        columns = attack_rows(
            partial(_run, cell.make(), aim=cell.aim, seed=config.seed),
            cell.system,
            test,
            n=config.n_windows if cell.system.decides_by_windows else None,
            judges=[cast(GenreSystem, forest)] if hears else [],
        )
        return {
            "partition": cell.system.partition,
            "system": cell.system.name,
            "method": cell.method,
            "vote": cell.vote,
            "aim": cell.aim,
            "columns": columns,
        }

    settings = {
        "config": config,
        "models": {f"{s.partition}/{s.name}": s.identity for s in systems},
        "sounds": {kind: [test.parts.digest, *_names(test)] for kind, test in tests.items()},
    }
    names = [cell.name for cell in cells]
    rows = rows_of_songs(out, _NAME, settings, names, compute, progress=progress, shown="attacks")
    tables = genre_tables(rows, baselines, config.seed)
    draw_genres(rows, out / f"{_NAME}.svg")
    about = {"models": settings["models"], "baselines": baselines}
    write_run(out, _NAME, config, tables, rows, about)
    return tables


def _names(test: GenreTest) -> list[str]:
    return [sound.name for sound in test.sounds]


def _cells(system: GenreSystem, config: AdversaryGenreConfig) -> list[_Cell]:
    """List the attacks on a system."""
    model, cells = system.model, []
    if not system.has_gradient:
        square = partial(
            Square, model, snr_db=config.snr_db, steps=config.queries, seed=config.seed
        )
        return [_Cell(system, "black box", "soft", _ANY, square)]
    # a window in two is no majority
    votes: Sequence[Vote] = VOTES[:1] if system.decides_by_windows else VOTES
    for vote in votes:
        pgd = partial(
            WaveformPGD, model, snr_db=config.snr_db, steps=config.steps, aggregation=vote
        )
        cells += [_Cell(system, "waveform", vote, aim, pgd) for aim in (_ANY, *_AIMS)]
    magnitude = partial(_on_magnitudes, system, config.magnitude_snr_db)
    cells += [_Cell(system, "magnitude", "soft", aim, magnitude) for aim in _AIMS]
    published = partial(magnitude, faithful=True)
    return [*cells, _Cell(system, "published", "soft", "all_wrong", published)]


def _on_magnitudes(system: GenreSystem, snr_db: float, *, faithful: bool = False) -> Attack:
    """Set up the paper's attack with the preset of the system."""
    preset = MagnitudeAdversary.cdnn if system.decides_by_windows else MagnitudeAdversary.dnn
    attack = preset(system.model, snr_db=snr_db, model_input="sound", faithful=False)
    n_fft = getattr(system.model, "n_fft", attack.n_fft)
    hop_length = getattr(system.model, "hop_length", attack.hop_length)
    return replace(attack, n_fft=n_fft, hop_length=hop_length, faithful=faithful)


def _run(attack: Attack, x: Tensor, y: Tensor, first: int, *, aim: str, seed: int) -> AttackResult:
    if aim != _ANY:
        attack = attack.targeted(Goal(cast(Any, aim), seed=seed))
    return attack.run(x, y, first_example=first)


def _soundfont_baseline(test: GenreTest, corpus: Path) -> dict[str, Any] | None:
    """Answer with the most frequent label of the SoundFont; None if it is not known."""
    fonts = soundfonts(test.parts.train, corpus)
    heard = soundfonts(test.sounds, corpus)
    if fonts is None or heard is None:
        return None
    labels = [sound.label for sound in test.parts.train]
    of_font = {
        font: max(
            test.parts.labels,
            key=lambda label, font=font: sum(  # type: ignore[misc]
                pair == (font, label) for pair in zip(fonts, labels, strict=True)
            ),
        )
        for font in set(fonts)
    }
    answers = [of_font.get(font, test.parts.labels[0]) for font in heard]
    return {"by": "the SoundFont alone", "answers": answers, **_truth(test)}


def _spectrum_baseline(test: GenreTest, system: GenreSystem, spectra: Spectra) -> dict[str, Any]:
    """Answer as the nearest training sound by its mean log spectrum, that is by timbre alone."""
    floor = 1e-3
    known = np.stack([part.add(floor).log().mean(0).numpy() for part in spectra.parts()])
    front_end = system.listener.front_end
    new = [
        front_end.mel(y).add(floor).log().mean(0).numpy()
        for y in test.waveforms(system.sample_rate)
    ]
    answers = []
    for row in new:
        nearest = int(np.square(known - row).sum(1).argmin())
        answers.append(test.parts.labels[int(spectra.labels[nearest])])
    return {"by": "the mean spectrum alone", "answers": answers, **_truth(test)}


def _truth(test: GenreTest) -> dict[str, list[str]]:
    return {"label": test.labels, "group": test.groups}
