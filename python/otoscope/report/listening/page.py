"""The page of a listening test: sounds without names, ratings, and their table to download."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.records import to_json
from otoscope.report.pages import in_script, save_page
from otoscope.report.sounds import Sound, data_uris

__all__ = ["PageTrial", "save_listening_page"]


@dataclass(frozen=True, eq=False)
class PageTrial:
    """A trial of a listening test.

    ``stimuli`` are the sounds to rate or to choose from; ``open`` is the open reference, or X, and
    empty if there is none. All are names that tell nothing, keys of ``sounds`` [sample].
    """

    key: str
    stimuli: tuple[str, ...]
    open: str
    sounds: Mapping[str, Tensor]


def save_listening_page(
    trials: Sequence[PageTrial],
    path: str | os.PathLike[str],
    *,
    test: str,
    kind: str,
    question: str,
    scale: tuple[str, str],
    sr: float,
) -> None:
    """Write a listening test as one HTML file that needs no network.

    Parameters
    ----------
    trials : sequence of PageTrial
        Trials; the page draws an order for each listener.
    path : str or PathLike
        File to write, whole or not at all.
    test : str
        Digest of the test, which the table of answers carries.
    kind : {"mushra", "abx"}
        Ratings, or choices.
    question : str
        Question of all trials.
    scale : (str, str)
        Names of the ends of the scale.
    sr : float
        Sample rate of the sounds, in Hz.

    Raises
    ------
    ParameterError
        If there is no trial, or ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_listening_page(trials, "test.html", test="5d1f", kind="abx",
    ...     question="Which?", scale=("", ""), sr=22050)  # doctest: +SKIP
    """
    if not trials:
        raise ParameterError("there are no trials")
    names = [(trial.key, name) for trial in trials for name in trial.sounds]
    clips = [y for trial in trials for y in trial.sounds.values()]
    uris = data_uris(clips, sr=round(sr), n_exact=0, lossless_bytes=sum(8 * len(y) for y in clips))
    sounds: dict[str, list[Sound]] = {trial.key: [] for trial in trials}
    for (key, name), uri in sorted(zip(names, uris, strict=True)):
        sounds[key].append(Sound(name, "", "", 0, 100, uri))
    shown = sorted(
        (
            _ShownTrial(
                trial.key,
                list(trial.stimuli),
                trial.open,
                sounds[trial.key],
                len({len(y) for y in trial.sounds.values()}) == 1,
            )
            for trial in trials
        ),
        key=lambda trial: trial.key,
    )
    about = {
        "test": test,
        "kind": kind,
        "trials": [{"key": t.key, "stimuli": t.stimuli, "open": t.open} for t in shown],
    }
    page = _ListeningPage(
        title="Listening test",
        about=f"{len(trials)} trials",
        kind=kind,
        question=question,
        low=scale[0],
        high=scale[1],
        trials=shown,
        json=in_script(to_json(about)),
    )
    save_page(page, "listening.html", path)


@dataclass(frozen=True)
class _ShownTrial:
    """A trial as the template prints it."""

    key: str
    stimuli: list[str]
    open: str
    sounds: list[Sound]
    together: bool


@dataclass(frozen=True)
class _ListeningPage:
    """The page of a listening test."""

    title: str
    about: str
    kind: str
    question: str
    low: str
    high: str
    trials: list[_ShownTrial]
    json: str
