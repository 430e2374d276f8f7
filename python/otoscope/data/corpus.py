"""Corpora that are continued: of the same settings, with the sounds that were written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.progress import Progress, tracked
from otoscope.records.files import file_digest
from otoscope.signal.audio.files import encode_audio

__all__ = ["digests", "resume", "write_clips", "write_sound"]


class Clip(Protocol):
    """Ground truth of a clip, of which a name ``class/file`` is known here."""

    @property
    def name(self) -> str:
        """Path of the sound in the corpus, without suffix."""


C = TypeVar("C", bound=Clip)


def write_clips(
    out_dir: Path,
    clips: Sequence[C],
    render: Callable[[C], NDArray[np.float32]],
    *,
    sr: int,
    seed: int,
    made: Mapping[str, object],
    progress: Progress,
) -> Path:
    """Write one folder of clips per class, and ``manifest.jsonl`` with the ground truth.

    ``made`` has the keys recipe and tools.
    """
    for folder in {(out_dir / clip.name).parent for clip in clips}:
        folder.mkdir(parents=True, exist_ok=True)
    manifest = out_dir / "manifest.jsonl"
    with records.Records(manifest) as written:
        outdated = resume(written, manifest, seed=seed, **made)
        for clip in tracked(progress, clips, "clips"):
            if clip.name not in written:
                file = f"{clip.name}.wav"
                write_sound(out_dir / file, render(clip), sr=sr, replaces=clip.name in outdated)
                truth = {"file": file, "clip": clip, **made, "sha256": digests(out_dir, [file])}
                written.append(clip.name, truth, seed=seed)
    return manifest


def write_sound(path: Path, y: NDArray[np.float32], *, sr: int, replaces: bool) -> None:
    """Write a sound of a corpus as .wav; without ``replaces``, refuse to replace any other file.

    A file of the same content may be there: that of a run which was killed before its record.
    """
    content = encode_audio(torch.from_numpy(y), sr=sr)
    if not replaces and path.exists() and path.read_bytes() != content:
        raise ParameterError(
            f"{path} exists, and is not of this corpus; name another folder, or remove it"
        )
    with records.replacing(path) as draft:
        draft.write_bytes(content)


def digests(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files, by their paths relative to the folder of a corpus."""
    return {file: file_digest(folder / file) for file in files}


def resume(
    written: records.Records, manifest: Path, *, seed: int, recipe: object, tools: object
) -> set[str]:
    """Refuse a corpus of other settings; remove the records of sounds that are gone or changed.

    Return the keys of these. The records hold ``recipe``, ``tools`` and the `digests` of their
    files as ``sha256``.
    """
    settings = records.to_json({"seed": seed, "recipe": recipe})
    outdated = []
    for record in records.stream(manifest):
        before = records.to_json({name: record.get(name) for name in ("seed", "recipe")})
        if before != settings:
            raise ParameterError(
                f"{manifest} is of seed {record.get('seed')} and "
                f"{records.to_json(record.get('recipe'))}, not of seed {seed} and {recipe}; "
                "name another folder"
            )
        if record.get("tools") != records.to_plain(tools):
            raise ParameterError(
                f"{manifest} is of tools {record.get('tools')}, not {records.to_plain(tools)}; "
                "name another folder"
            )
        if not _is_there(manifest.parent, record.get("sha256")):
            outdated.append(record["key"])
    written.remove(outdated)
    return {key for key in outdated if isinstance(key, str)}


def _is_there(folder: Path, digests_before: object) -> bool:
    if not isinstance(digests_before, dict) or not digests_before:
        return False
    return all(
        (folder / file).is_file() and file_digest(folder / file) == digest
        for file, digest in digests_before.items()
    )
