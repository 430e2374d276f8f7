"""A low-pass filter as a defence of classifiers of genres, also attacked through itself.

Sounds that fool a classifier are heard behind filters. Then the classifier with its filter is
attacked as a whole, with the gradient through the filter. White noise of the same signal-to-noise
ratio is the control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.attack import AttackResult, Goal, WaveformPGD
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary._genre_sounds import GenreTest, OwnCorpus, genre_tests
from otoscope.papers.e_adversary._genre_systems import (
    GenreSystem,
    attack_rows,
    genre_systems,
    partition_kinds,
    predicted,
)
from otoscope.papers.e_adversary._genre_tables import fraction_text, median_text, recall_text
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.seeds import torch_generator
from otoscope.signal.snr import add_noise

__all__ = ["DefenceFilterConfig", "LowPassed", "defence_filter"]

_NAME = "defence_filter"
_TAPS = 511
_ANSWERS = ("clean", "adversary", "through the filter", "noise")


@dataclass(frozen=True)
class DefenceFilterConfig:
    """Settings of the experiment defence-filter.

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
    seconds : float
        Length of the excerpt from the middle of each sound, in seconds.
    snr_db : float
        Minimum signal-to-noise ratio of the attacks, dB.
    steps : int
        Maximum number of steps.
    cutoffs_hz : tuple of float
        Cutoff frequencies of the filters; those from half the sample rate are left out.
    seed : int
        Random seed.
    own : OwnCorpus
        Corpus and training where none is given.
    """

    corpus: Path | None = None
    lists: Path | None = None
    models: str = ""
    partition_seed: int = 0
    n: int = 40
    seconds: float = 5.0
    snr_db: float = 40.0
    steps: int = 50
    cutoffs_hz: tuple[float, ...] = (1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0)
    seed: int = 0
    own: OwnCorpus = field(default_factory=OwnCorpus)

    def __post_init__(self) -> None:
        if self.n < 2 or self.steps < 1:
            raise ParameterError(f"n is {self.n} and steps {self.steps}; need >= 2 and >= 1")
        if not self.cutoffs_hz or not all(hz > 0 for hz in self.cutoffs_hz):
            raise ParameterError(f"cutoffs_hz are {self.cutoffs_hz}; need one or more, all > 0")

    @classmethod
    def quick(cls) -> DefenceFilterConfig:
        """Return a small version: four genres, two filters, networks trained in seconds."""
        return cls(n=8, steps=20, cutoffs_hz=(2000.0, 6000.0), own=OwnCorpus.quick())


class LowPassed(nn.Module):
    """A classifier of sounds behind a linear-phase low-pass filter; differentiable.

    Parameters
    ----------
    model : callable
        Sounds [batch, sample] -> outputs, with ``sample_rate``.
    cutoff_hz : float
        Frequency at which the filter halves the amplitude, below half the sample rate.

    Examples
    --------
    >>> from otoscope.attack import SpectrumClassifier
    >>> model = LowPassed(SpectrumClassifier(nn.Linear(513, 2)), 4000.0)
    >>> model(torch.zeros(1, 1024)).shape
    torch.Size([1, 1, 2])
    """

    def __init__(self, model: Any, cutoff_hz: float) -> None:
        super().__init__()
        from scipy.signal import firwin  # 0.2 s, when it is used

        self.model, self.sample_rate = model, model.sample_rate
        self.outputs = getattr(model, "outputs", None)
        taps = torch.from_numpy(firwin(_TAPS, cutoff_hz, fs=model.sample_rate))
        self.register_buffer("taps", taps)

    def forward(self, sounds: Tensor) -> Tensor:
        """Compute the outputs for filtered sounds [batch, sample]."""
        taps, length = self.get_buffer("taps").to(sounds), sounds.shape[-1]
        n = length + _TAPS - 1
        spectrum = torch.fft.rfft(sounds, n) * torch.fft.rfft(taps, n)
        first = (_TAPS - 1) // 2
        outputs: Tensor = self.model(torch.fft.irfft(spectrum, n)[..., first : first + length])
        return outputs


def defence_filter(
    config: DefenceFilterConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment; write its record and its figure.

    Parameters
    ----------
    config : DefenceFilterConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``defence_filter.json`` and ``defence_filter.svg``.
        An interrupted run is continued.
    progress : bool or callable
        True shows bars.

    Returns
    -------
    list of ResultTable
        Mean recall behind each filter.

    Raises
    ------
    ParameterError
        If a setting, the corpus, a list or a model is wrong, a sound is silent or too short, or a
        model gives no gradient.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section V; Athalye et al. (2018)
    :cite:`athalye2018`: attacks through the defence.

    Examples
    --------
    >>> defence_filter(DefenceFilterConfig.quick(), Path("filter"))  # doctest: +SKIP
    """
    out.mkdir(parents=True, exist_ok=True)
    tests = genre_tests(config, partition_kinds(config.models), out, progress=progress)
    systems = genre_systems(config, tests, out, progress=progress)
    cells = [
        (system, cutoff_hz)
        for system in systems
        for cutoff_hz in (None, *config.cutoffs_hz)
        if cutoff_hz is None or cutoff_hz < system.sample_rate / 2
    ]

    def compute(index: int) -> dict[str, Any]:
        system, cutoff_hz = cells[index]
        return {
            "partition": system.partition,
            "system": system.name,
            "cutoff_hz": cutoff_hz,
            "columns": _columns(system, tests[system.partition], cutoff_hz, config),
        }

    settings = {
        "config": config,
        "models": {f"{s.partition}/{s.name}": s.identity for s in systems},
        "sounds": {kind: [s.name for s in test.sounds] for kind, test in tests.items()},
    }
    names = [f"{s.partition}/{s.name}/{_filter_text(hz)}" for s, hz in cells]
    rows = rows_of_songs(out, _NAME, settings, names, compute, progress=progress, shown="filters")
    tables = _tables(rows, config.seed)
    _draw(rows, out / f"{_NAME}.svg")
    write_run(out, _NAME, config, tables, rows, {"models": settings["models"]})
    return tables


def _columns(
    system: GenreSystem, test: GenreTest, cutoff_hz: float | None, config: DefenceFilterConfig
) -> dict[str, list[Any]]:
    """Attack a system without and with its filter, and ask what it hears behind the filter."""
    model = system.model if cutoff_hz is None else LowPassed(system.model, cutoff_hz)
    behind = replace(system, model=model, name="filtered", listener=system.listener)
    run = partial(_run, config=config)
    plain = attack_rows(partial(run, system), system, test, judges=[behind])
    through = attack_rows(partial(run, behind), behind, test)
    x = test.waveforms(system.sample_rate)
    noisy = torch.stack(
        [
            _noisy(y, snr_db, torch_generator(config.seed, i))
            for i, (y, snr_db) in enumerate(zip(x, through["snr_db"], strict=True))
        ]
    )
    return {
        "label": plain["label"],
        "group": plain["group"],
        "heard": plain["before_soft"],
        "fooled": plain["after_soft"],
        "clean": predicted(behind, x),
        "adversary": plain["by_filtered"],
        "through the filter": through["after_soft"],
        "noise": predicted(behind, noisy),
        "snr_db": through["snr_db"],
    }


def _run(
    system: GenreSystem, x: Tensor, y: Tensor, first: int, *, config: DefenceFilterConfig
) -> AttackResult:
    attack = WaveformPGD(system.model, snr_db=config.snr_db, steps=config.steps)
    goal = Goal("all_wrong", seed=config.seed)
    return attack.targeted(goal).run(x, y, first_example=first)


def _noisy(y: Tensor, snr_db: float, generator: torch.Generator) -> Tensor:
    """Add noise of the ratio that an adversary has; none where nothing was added."""
    if snr_db == float("inf"):
        return y
    return add_noise(y, snr_db=max(snr_db, 1e-3), generator=generator).clamp(-1, 1)


def _filter_text(cutoff_hz: float | None) -> str:
    return "none" if cutoff_hz is None else f"{cutoff_hz:g} Hz"


def _tables(rows: Sequence[Mapping[str, Any]], seed: int) -> list[ResultTable]:
    return [
        ResultTable(
            "Mean recall behind a low-pass filter, on written audio",
            (
                "partition",
                "system",
                "filter",
                *_ANSWERS,
                "restored",
                "SNR through the filter",
            ),
            tuple(
                (
                    row["partition"],
                    row["system"],
                    _filter_text(row["cutoff_hz"]),
                    *(recall_text(row["columns"], row["columns"][of], seed) for of in _ANSWERS),
                    fraction_text(_restored(row["columns"])),
                    median_text(row["columns"]["snr_db"], "{:.1f} dB"),
                )
                for row in rows
            ),
        )
    ]


def _restored(columns: Mapping[str, Any]) -> list[bool]:
    """Whether the filter restores the label of each fooled sound whose original it keeps."""
    return [
        adversary == heard
        for heard, fooled, clean, adversary in zip(
            *(columns[name] for name in ("heard", "fooled", "clean", "adversary")), strict=True
        )
        if fooled != heard and clean == heard
    ]


def _draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw mean recall against the cutoff: a panel per system."""
    systems: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        systems.setdefault(f"{row['system']}, {row['partition']}", []).append(row)
    with svg_figure(path, width=3.0 * len(systems) + 0.6, height=2.8) as figure:
        panels = figure.subplots(1, len(systems), sharey=True, squeeze=False)[0]
        for panel, (title, own) in zip(panels, systems.items(), strict=True):
            for name, colour in zip(_ANSWERS, COLOURS, strict=True):
                recalls = [float(recall_text(r["columns"], r["columns"][name])[:4]) for r in own]
                panel.plot(range(len(own)), recalls, "o-", color=colour, ms=4, label=name)
            ticks = [_filter_text(row["cutoff_hz"]).removesuffix(" Hz") for row in own]
            panel.set_xticks(range(len(own)), ticks)
            panel.set(title=title, xlabel="cutoff, Hz", ylim=(-0.03, 1.03))
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("mean recall")
        panels[0].legend(frameon=False, fontsize=8)
