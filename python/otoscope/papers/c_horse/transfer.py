"""Validity beyond one data set: train on BALLROOM's features, test on Extended BALLROOM's.

Both files are published (CC0); neither is downloaded. Recordings that both data sets have are left
out by their names, and the score with them left in is reported beside.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope import records
from otoscope.data.ballroom import BallroomRhythm, load_ballroom_rhythm
from otoscope.errors import ParameterError
from otoscope.intervene import FeatureDilation, Interrogation, InterrogationSettings
from otoscope.intervene.interrogation.items import Features
from otoscope.papers.c_horse.ballroom_features import CLASSIFIERS, fitted
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import signed, with_bounds

__all__ = ["HorseTransferConfig", "horse_transfer"]

_SAME = {"chacha": "ChaChaCha", "viennesewaltz": "VienneseWaltz"}
_NUMBER = re.compile(r"(?:Media-)?(\d+)")


@dataclass(frozen=True)
class HorseTransferConfig:
    """Features and seeds of the experiment.

    Parameters
    ----------
    features : Path
        File ``ballroom_rhythm.npz``.
    extended : Path
        File of the same features of Extended BALLROOM: arrays features [dilation, recording, 13],
        dilation_percent, recording and label.
    split_seed : int
        Random seed of the published split of BALLROOM.
    seed : int
        Random seed of the bootstrap.

    Examples
    --------
    >>> HorseTransferConfig(Path("ballroom_rhythm.npz"), Path("extended.npz")).split_seed
    123
    """

    features: Path
    extended: Path
    split_seed: int = 123
    seed: int = 0


def horse_transfer(
    config: HorseTransferConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record.

    ``out`` gets ``horse_transfer.json`` (configuration, table, scores, what was left out). Returns
    a table of the classifiers: accuracy on BALLROOM's test, on Extended BALLROOM without what
    BALLROOM has, and with it. Intervals of BALLROOM are over replicas.

    References
    ----------
    Sturm, mirvaliditytutorial :cite:`mirvaliditytutorial` (CC0).
    """
    from sklearn.model_selection import train_test_split

    began = time.monotonic()
    home, away = load_ballroom_rhythm(config.features), load_ballroom_rhythm(config.extended)
    for rhythm, path in ((home, config.features), (away, config.extended)):
        if 0 not in rhythm.features:
            raise ParameterError(f"{path} has no features at dilation_percent 0")
    out.mkdir(parents=True, exist_ok=True)
    items = np.arange(len(home.style))
    train, test = train_test_split(items, test_size=0.3, random_state=config.split_seed)
    names, unchanged = [_name(name) for name in home.recording], FeatureDilation(0, available=(0,))
    audio = Features(_rows(away, np.arange(len(away.style))), [_name(n) for n in away.recording])
    labels, found, rows = [_style(style) for style in away.style], {}, []
    for name in tracked(progress, list(CLASSIFIERS), "classifiers"):
        interrogation = Interrogation(
            fitted(name, home, train),
            Features(_rows(home, test), [names[i] for i in test]),
            [home.style[i] for i in test],
            groups=[home.group[i] for i in test],
            settings=InterrogationSettings(
                classes=tuple(sorted(set(home.style))), metric="accuracy", seed=config.seed
            ),
        )
        without, with_all = (
            interrogation.transfer(audio, labels, known=names, by_name=by_name, unchanged=unchanged)
            for by_name in (True, False)
        )
        found[name] = {"without overlap": without.to_dict(), "with overlap": with_all.to_dict()}
        change = f"{signed(without.change.value, 3)}"
        rows.append(
            (
                name,
                with_bounds(without.home, count=3),
                with_bounds(without.away, count=3),
                change,
                with_bounds(with_all.away, count=3),
                str(without.n_away),
                str(len(without.overlap)),
            )
        )
    table = ResultTable(
        "BALLROOM to Extended BALLROOM, accuracy",
        (
            *("classifier", "BALLROOM", "Extended", "change", "with overlap"),
            *("recordings", "left out as known"),
        ),
        tuple(rows),
    )
    record = {
        "settings": asdict(config),
        "seconds": round(time.monotonic() - began),
        "versions": records.versions(),
        "tables": [table],
        "transfers": found,
    }
    write_record(out / "horse_transfer.json", record)
    return [table]


def _rows(rhythm: BallroomRhythm, items: Any) -> Tensor:
    """Return the unchanged features of some recordings, Tensor [recording, 1, 13]."""
    return torch.from_numpy(np.asarray(rhythm.features[0])[items])[:, None]


def _style(label: str) -> str:
    """Name a dance as BALLROOM does."""
    return _SAME.get(label.casefold(), label)


def _name(recording: str) -> str:
    """Name a recording by its number on the site that both data sets were taken from, if any."""
    stem = recording.split("/")[-1]
    number = _NUMBER.fullmatch(stem)
    return number[1] if number else stem
