"""Corpora that are continued: of the same settings, with the sounds that were written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.records.files import file_digest

__all__ = ["digests", "resume"]


def digests(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files, by their paths relative to the folder of a corpus."""
    return {file: file_digest(folder / file) for file in files}


def resume(
    written: records.Records, manifest: Path, *, seed: int, recipe: object, tools: object
) -> None:
    """Refuse a corpus of other settings; remove the records of sounds that are gone or changed.

    The records hold ``recipe``, ``tools`` and the `digests` of their files as ``sha256``.
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


def _is_there(folder: Path, digests_before: object) -> bool:
    if not isinstance(digests_before, dict) or not digests_before:
        return False
    return all(
        (folder / file).is_file() and file_digest(folder / file) == digest
        for file, digest in digests_before.items()
    )
