"""One change that fools a model with most files of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from otoscope import records
from otoscope.attack.strong import Universal
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.progress import Progress, silent
from otoscope.signal import write_audio
from otoscope.workflows.attack import Attacker, Change

__all__ = ["UNIVERSAL", "find_universal"]

UNIVERSAL = "universal.wav"
"""Name of the change's file: 32-bit float, at full scale."""


def find_universal(
    attacker: Attacker, files: Iterable[Path], out: Path, *, progress: Progress = silent
) -> Change:
    """Find the change for the excerpts of files, and write it at full scale.

    Files that are silent, cannot be read, or end before the excerpt does, are left out: they are
    told when they are attacked themselves.

    Parameters
    ----------
    attacker : Attacker
        Model and settings.
    files : iterable of Path
        Sound files.
    out : Path
        Folder for universal.wav.
    progress : bool or callable
        True shows a bar over the steps.

    Returns
    -------
    Change
        The change, in units of the reach of each sound's bound.

    Raises
    ------
    ParameterError
        If no file can take part, or the whole of each file is to be attacked.

    Examples
    --------
    >>> find_universal(attacker, [Path("a.wav"), Path("b.wav")], Path("out"))  # doctest: +SKIP
    """
    config = attacker.config
    if config.whole:
        raise ParameterError("whole beside the method universal, which changes one excerpt of each")
    length = round(config.duration * attacker.model.sample_rate)
    excerpts, sources = [], []
    for file in files:
        try:
            ((_, excerpt),), _ = attacker.pieces(file)
        except ParameterError:
            continue
        if len(excerpt) == length and bool(excerpt.any()):
            excerpts.append(excerpt)
            sources.append((file, records.stamp(file)["sha256"]))
    if not excerpts:
        raise ParameterError(
            f"no file has {config.duration:g} s of sound from {config.start:g} s on, so that there "
            "is no change for all",
            advice=Advice(
                "try another ", Argument("start"), " or a shorter ", Argument("duration")
            ),
        )
    attack = cast(Universal, attacker.search_around(excerpts[0]).attack)
    direction = attack.run(torch.stack(excerpts), progress=progress).direction.cpu()
    out.mkdir(parents=True, exist_ok=True)
    peak = float(direction.abs().max())
    write_audio(
        out / UNIVERSAL,
        direction / peak if peak else direction,
        sr=attacker.model.sample_rate,
        subtype="FLOAT",
        comment="otoscope attack",
    )
    made_from = replace(config, sound=Path(), out=Path()), attacker.identity, sources
    origin = hashlib.sha256(records.to_json(made_from).encode()).hexdigest()
    return Change(direction, origin)
