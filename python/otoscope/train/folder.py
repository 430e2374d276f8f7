"""Folders of trainings: one writer from the start, and nothing of somebody else is replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.records import claimed

__all__ = ["require_resumed", "training_folder"]

_CHECKPOINT = "checkpoint.ckpt"
_OURS = re.compile(rb'\A\{\s*"format": "otoscope')  # begin of what a training writes


@contextmanager
def training_folder(out: str | Path, *, resume: bool) -> Iterator[Path]:
    """Claim the folder of a training while the block runs, before any sound is read.

    Parameters
    ----------
    out : str or Path
        Folder; made if it does not exist.
    resume : bool
        Whether the training continues from the checkpoint in the folder, if there is one.

    Yields
    ------
    Path
        Path of the checkpoint.

    Raises
    ------
    ParameterError
        If another process trains into the folder, it holds a training and ``resume`` is False, or
        it holds a model or other files that a training would replace.

    Examples
    --------
    >>> with training_folder("out", resume=True) as checkpoint:  # doctest: +SKIP
    ...     run_training(trainee, config, checkpoint, resume=True)
    """
    folder = Path(out)
    checkpoint = folder / _CHECKPOINT
    with claimed(folder):
        if checkpoint.exists():
            require_resumed(checkpoint, resume=resume)
        else:
            _require_replaceable(folder, resume=resume)
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield checkpoint
        finally:
            if is_new:
                with suppress(OSError):  # it holds files
                    folder.rmdir()


def require_resumed(checkpoint: Path, *, resume: bool) -> None:
    """Refuse a checkpoint that is there, unless the training is resumed."""
    if not resume:
        raise ParameterError(
            f"{checkpoint.parent} holds a training already; resume it or name another"
        )


def _require_replaceable(folder: Path, *, resume: bool) -> None:
    """Refuse a folder without a checkpoint that holds a model, or files of somebody else."""
    weights, *described = (folder / f"model{end}" for end in (".safetensors", ".json"))
    there = [path for path in (*described, folder / "result.json") if path.is_file()]
    foreign = [path for path in there if not _OURS.match(path.read_bytes()[:99])]
    if weights.exists() and not described[0].is_file():
        foreign.append(weights)
    if foreign:
        raise ParameterError(
            f"{foreign[0]} exists, and no training has written it; name another folder"
        )
    if there and not resume:  # with it, a training that was killed before its first checkpoint
        raise ParameterError(f"{folder} holds a model already; name another folder")
