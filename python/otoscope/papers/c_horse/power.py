"""Simulate systems of known honesty, and count the verdicts on them.

Answers have the correlations of those of trained systems (horse-trained). How often is an honest
system cleared, and called a horse? How often is a horse found, and how strong must the confound be?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from otoscope.errors import ParameterError
from otoscope.intervene import Interrogation, InterrogationSettings, Unasked
from otoscope.papers.c_horse.simulated_answers import AnswerModel
from otoscope.papers.c_horse.stretched_dances import StretchedTempo
from otoscope.papers.c_horse.verdict_rates import VERDICTS, rate, rate_row
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.seeds import item_seed

__all__ = ["HorsePowerConfig", "horse_power"]


@dataclass(frozen=True)
class HorsePowerConfig:
    """Size of the interrogations, statistics of the answers, and number of simulated systems.

    Parameters
    ----------
    n_systems : int
        Number of honest systems, and of horses, >= 1.
    n_curve : int
        Number of systems per strength of the confound, >= 1.
    strengths : tuple of float
        Falls of the score at the largest dose, in [0, 1]; the last is that of the horses.
    n_classes, n_artists, n_clips : int
        Number of classes, of artists per class, >= 2, and of clips per artist, >= 1.
    doses : tuple of float
        Tempo changes in percent, each with its placebo.
    unchanged, placebo : float
        Scores of the unchanged items and of the placebos, in (0, 1).
    flips, correlation, group_correlation : float
        Statistics of the answers, see `AnswerModel`; by default as of two trained systems that
        served for nothing else (horse-trained, seeds 500 and 1000).
    max_change : float
        Bound of the interrogation, in (0, 1).
    seed : int
        Random seed.

    Examples
    --------
    >>> HorsePowerConfig.quick().n_systems
    4
    """

    n_systems: int = 300
    n_curve: int = 100
    strengths: tuple[float, ...] = (0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.45)
    n_classes: int = 8
    n_artists: int = 20
    n_clips: int = 3
    doses: tuple[float, ...] = (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)
    unchanged: float = 0.956
    placebo: float = 0.926
    flips: float = 0.034
    correlation: float = 0.05
    group_correlation: float = 0.25
    max_change: float = 0.05
    seed: int = 8_000_000

    def __post_init__(self) -> None:
        if not self.doses or 0 in self.doses:
            raise ParameterError(f"doses are {self.doses}; need one or more, none of them 0")
        if not self.strengths or not all(0 <= one <= 1 for one in self.strengths):
            raise ParameterError(f"strengths are {self.strengths}; need one or more, in [0, 1]")
        least = {"n_systems": 1, "n_curve": 1, "n_classes": 2, "n_artists": 2, "n_clips": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {low}")

    @classmethod
    def quick(cls) -> HorsePowerConfig:
        """Return a small version: four systems of each kind, two strengths."""
        return cls(n_systems=4, n_curve=2, strengths=(0.1, 0.45), doses=(-6.0, 6.0))

    @property
    def answers(self) -> AnswerModel:
        """Statistics of the answers."""
        return AnswerModel(
            self.unchanged, self.placebo, self.flips, self.correlation, self.group_correlation
        )


def horse_power(
    config: HorsePowerConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write ``horse_power.json`` and ``horse_power.svg``; it resumes.

    Returns the rates of verdicts on honest systems and horses, and the curve of power.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.
    """
    horse = max(config.strengths)
    batches = [("honest", 0.0, config.n_systems), ("horse", horse, config.n_systems)]
    batches += [(f"strength {one:g}", one, config.n_curve) for one in config.strengths]
    names = [f"{name}, {part}" for name, _, n in batches for part in range(-(-n // _PART))]
    sizes = {
        f"{name}, {part}": (strength, min(_PART, n - part * _PART))
        for name, strength, n in batches
        for part in range(-(-n // _PART))
    }

    def row(index: int) -> dict[str, Any]:
        strength, n = sizes[names[index]]
        verdicts = [
            _verdict(config, strength, item_seed(config.seed, names[index], i)) for i in range(n)
        ]
        return {"strength": strength, "verdicts": verdicts}

    rows = rows_of_songs(out, "horse_power", vars(config), names, row, progress=progress)
    verdicts = {
        name: [v for one in rows if one["song"].startswith(f"{name}, ") for v in one["verdicts"]]
        for name, _, _ in batches
    }
    tables = [
        ResultTable(
            f"Verdicts on simulated systems, {_size(config)}",
            ("systems", *VERDICTS),
            tuple(rate_row(name, verdicts[name]) for name in ("honest", "horse")),
        ),
        ResultTable(
            "Power against the strength of the confound",
            ("fall at the largest dose", *VERDICTS),
            tuple(rate_row(f"{one:g}", verdicts[f"strength {one:g}"]) for one in config.strengths),
        ),
    ]
    counts = {name: Counter(of_name) for name, of_name in verdicts.items()}
    write_run(out, "horse_power", config, tables, rows, {"counts": counts})
    _draw(config, verdicts, out / "horse_power.svg")
    return tables


_PART = 25  # systems per line of the file that a run resumes from
_SHAPE = 1.35  # of the falls that horse-planted measured: .10, .25 and .44 at 2, 4 and 6 %


def _size(config: HorsePowerConfig) -> str:
    n_groups = config.n_classes * config.n_artists
    return f"{n_groups * config.n_clips} items in {n_groups} groups"


def _verdict(config: HorsePowerConfig, strength: float, seed: int) -> str:
    """Draw the answers of one system, and interrogate it."""
    rng = np.random.default_rng(seed)
    n_groups = config.n_classes * config.n_artists
    groups = np.repeat(np.arange(n_groups), config.n_clips)
    classes = np.array([f"class {group % config.n_classes}" for group in groups.tolist()])
    largest = max(map(abs, config.doses))
    falls = strength * (np.abs(config.doses) / largest) ** _SHAPE
    right = config.answers.draw(groups, falls, rng)
    wrong = [f"class {(int(name[6:]) + 1) % config.n_classes}" for name in classes.tolist()]
    answers = np.where(right, classes[:, None], np.array(wrong)[:, None])
    available = (0, *config.doses)
    interrogation = Interrogation(
        Unasked("simulated"),
        torch.zeros(len(groups), 2 * len(available), 1),
        classes.tolist(),
        groups=[str(group) for group in groups],
        settings=InterrogationSettings(max_change=config.max_change, seed=seed % 2**32),
    )
    result = interrogation.run(
        [StretchedTempo(max(config.doses, key=abs), available=available)],
        doses={StretchedTempo.name: config.doses},
        answers={(item, "items"): row for item, row in enumerate(answers.tolist())},
    )
    return result.verdict.kind


def _draw(config: HorsePowerConfig, verdicts: dict[str, list[str]], path: Path) -> None:
    """Draw the rate of each verdict against the strength of the confound."""
    points = [(0.0, verdicts["honest"])]
    points += [(one, verdicts[f"strength {one:g}"]) for one in sorted(config.strengths)]
    with svg_figure(path, width=5.2, height=3.0) as figure:
        panel = figure.subplots()
        for colour, kind in zip(COLOURS, ("horse", "cleared", "undecided"), strict=False):
            rates = [rate(_hits(of_point, kind), len(of_point)) for _, of_point in points]
            x = [strength for strength, _ in points]
            panel.plot(x, [one.value for one in rates], "o-", ms=4, color=colour, label=kind)
            panel.vlines(
                x, [r.low for r in rates], [r.high for r in rates], color=colour, lw=1, alpha=0.5
            )
        panel.axvline(config.max_change, color="0.6", lw=1, ls=":")
        panel.set(
            xlabel="fall of the score at the largest dose (dotted: the bound)",
            ylabel="fraction of systems",
            ylim=(-0.03, 1.03),
        )
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8)


def _hits(verdicts: Sequence[str], kind: str) -> int:
    kinds = ["undecided" if verdict == "chance" else verdict for verdict in verdicts]
    return kinds.count(kind)
