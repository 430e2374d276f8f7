"""Ten songs, every label: how little must be added to a song until a system hears each genre in it.

Each song is pushed to each label, all labels in one batch, by a search for the largest
signal-to-noise ratio that still succeeds. The sounds are rounded to 16 bits, written, and heard
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from otoscope.attack import Goal, WaveformPGD
from otoscope.attack.evaluation import written
from otoscope.attack.strong import LeastNorm
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary._genre_sounds import GenreTest, OwnCorpus, genre_tests
from otoscope.papers.e_adversary._genre_systems import (
    GenreSystem,
    genre_systems,
    partition_kinds,
    predicted,
)
from otoscope.papers.e_adversary._genre_tables import fraction_text, median_text
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable, svg_figure
from otoscope.report.numbers import UNKNOWN
from otoscope.signal.snr import snr_db

__all__ = ["TenSongsConfig", "ten_songs"]

_NAME = "ten_songs"
_TOLERANCE_DB = 1.0


@dataclass(frozen=True)
class TenSongsConfig:
    """Settings of the experiment ten-songs.

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
        Number of songs of each partition's test part, >= 2.
    seconds : float
        Length of the excerpt from the middle of each song, in seconds.
    lowest_db, highest_db : float
        Range of signal-to-noise ratios of the search, dB.
    steps : int
        Maximum number of steps at each ratio.
    seed : int
        Random seed.
    own : OwnCorpus
        Corpus and training where none is given.
    """

    corpus: Path | None = None
    lists: Path | None = None
    models: str = ""
    partition_seed: int = 0
    n: int = 10
    seconds: float = 5.0
    lowest_db: float = 5.0
    highest_db: float = 75.0
    steps: int = 30
    seed: int = 0
    own: OwnCorpus = field(default_factory=OwnCorpus)

    def __post_init__(self) -> None:
        if self.n < 2 or self.steps < 1:
            raise ParameterError(f"n is {self.n} and steps {self.steps}; need >= 2 and >= 1")

    @classmethod
    def quick(cls) -> TenSongsConfig:
        """Return a small version: two songs of four genres, networks trained in seconds."""
        return cls(n=2, steps=5, highest_db=60.0, own=OwnCorpus.quick())


def ten_songs(
    config: TenSongsConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment; write its record and its figure.

    Parameters
    ----------
    config : TenSongsConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``ten_songs.json`` and ``ten_songs.svg``. An
        interrupted run is continued.
    progress : bool or callable
        True shows bars.

    Returns
    -------
    list of ResultTable
        Summary, and a table of songs and labels for each system.

    Raises
    ------
    ParameterError
        If a setting, the corpus, a list or a model is wrong, a sound is silent or too short, or a
        model gives no gradient.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section V.

    Examples
    --------
    >>> ten_songs(TenSongsConfig.quick(), Path("songs"))  # doctest: +SKIP
    """
    out.mkdir(parents=True, exist_ok=True)
    tests = genre_tests(config, partition_kinds(config.models), out, progress=progress)
    systems = genre_systems(config, tests, out, progress=progress)
    entries = [
        (system, number)
        for system in systems
        for number in range(len(tests[system.partition].sounds))
    ]

    def compute(index: int) -> dict[str, Any]:
        system, number = entries[index]
        return _every_label(system, tests[system.partition], number, config)

    settings = {
        "config": config,
        "models": {f"{s.partition}/{s.name}": s.identity for s in systems},
        "sounds": {kind: [s.name for s in test.sounds] for kind, test in tests.items()},
    }
    names = [f"{s.partition}/{s.name}/{tests[s.partition].sounds[i].name}" for s, i in entries]
    rows = rows_of_songs(out, _NAME, settings, names, compute, progress=progress)
    tables = _tables(rows)
    _draw(rows, out / f"{_NAME}.svg")
    write_run(out, _NAME, config, tables, rows, {"models": settings["models"]})
    return tables


def _every_label(
    system: GenreSystem, test: GenreTest, number: int, config: TenSongsConfig
) -> dict[str, Any]:
    """Push a song to each label, in one batch."""
    x = test.waveforms(system.sample_rate)[number].expand(len(system.labels), -1)
    goal = Goal("all_same", label=torch.arange(len(system.labels)))
    attack = WaveformPGD(system.model, steps=config.steps, seed=config.seed).targeted(goal)
    search = LeastNorm(
        attack,
        lowest_db=config.lowest_db,
        highest_db=config.highest_db,
        tolerance_db=_TOLERANCE_DB,
        in_16_bits=True,
    )
    result = search.run(x)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "adversary.wav"
        files = torch.stack([written(path, y, system.sample_rate) for y in result.sound])
    heard = predicted(system, files)
    (before,) = predicted(system, x[:1])
    return {
        "partition": system.partition,
        "system": system.name,
        "label": test.sounds[number].label,
        "before": before,
        "targets": list(system.labels),
        "reached": [answer == target for answer, target in zip(heard, system.labels, strict=True)],
        "snr_db": [round(value, 3) for value in snr_db(x, files).tolist()],
        "fails_db": [round(value, 3) for value in result.fails_db.tolist()],
        "iterations": result.iterations.tolist(),
    }


def _tables(rows: Sequence[Mapping[str, Any]]) -> list[ResultTable]:
    systems = _by_system(rows)
    summary = ResultTable(
        "Every label for every song, on written audio",
        ("partition", "system", "songs", "labels reached", "median SNR", "least SNR"),
        tuple(
            (
                *name,
                str(len(own)),
                fraction_text(reached for row in own for reached, _ in _others(row)),
                median_text(_ratios(own), "{:.1f} dB"),
                median_text(sorted(_ratios(own))[:1], "{:.1f} dB"),
            )
            for name, own in systems.items()
        ),
    )
    return [
        summary,
        *(
            ResultTable(
                f"SNR in dB at which {name[1]} ({name[0]}) hears each label",
                ("song", "before", *own[0]["targets"]),
                tuple((_song(row), row["before"], *_cells(row)) for row in own),
            )
            for name, own in systems.items()
        ),
    ]


def _by_system(
    rows: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    systems: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        systems.setdefault((row["partition"], row["system"]), []).append(row)
    return systems


def _song(row: Mapping[str, Any]) -> str:
    return str(row["song"]).rpartition("/")[2]


def _others(row: Mapping[str, Any]) -> list[tuple[bool, float]]:
    """Whether each label but the song's first one is reached, and at which ratio."""
    return [
        (reached, ratio)
        for target, reached, ratio in zip(
            row["targets"], row["reached"], row["snr_db"], strict=True
        )
        if target != row["before"]
    ]


def _ratios(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    return [ratio for row in rows for reached, ratio in _others(row) if reached]


def _cells(row: Mapping[str, Any]) -> list[str]:
    cells = []
    for target, reached, ratio in zip(row["targets"], row["reached"], row["snr_db"], strict=True):
        is_first = target == row["before"]
        cells.append("as it is" if is_first else f"{ratio:.1f}" if reached else UNKNOWN)
    return cells


def _draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the ratios as a matrix of songs and labels for each system."""
    systems = _by_system(rows)
    height = 0.22 * max(len(own) for own in systems.values()) + 1.3
    with svg_figure(path, width=3.6 * len(systems) + 0.6, height=height) as figure:
        panels = figure.subplots(1, len(systems), squeeze=False)[0]
        for panel, (name, own) in zip(panels, systems.items(), strict=True):
            ratios = [
                [
                    ratio if reached and target != row["before"] else float("nan")
                    for target, reached, ratio in zip(
                        row["targets"], row["reached"], row["snr_db"], strict=True
                    )
                ]
                for row in own
            ]
            image = panel.pcolormesh(ratios, cmap="viridis", vmin=10, vmax=70)
            panel.invert_yaxis()
            labels = own[0]["targets"]
            panel.set_xticks([i + 0.5 for i in range(len(labels))], labels, rotation=90, fontsize=7)
            panel.set_yticks([i + 0.5 for i in range(len(own))], map(_song, own), fontsize=7)
            panel.set_title(f"{name[1]}, {name[0]}", fontsize=8)
        figure.colorbar(image, ax=panels, label="SNR, dB")
