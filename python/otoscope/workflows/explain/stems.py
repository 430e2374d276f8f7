"""Stems of a recording: files that are cut as its excerpts are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otoscope import records
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.components import Components, resolve
from otoscope.explain.components.base import SOURCE
from otoscope.explain.components.sources import Stems, stem_files
from otoscope.signal.audio.files import samples
from otoscope.signal.audio.reader import SoundReader
from otoscope.workflows.recording import Recording

if TYPE_CHECKING:
    from otoscope.workflows.explain.config import ExplainConfig

__all__ = ["StemFiles", "are_unchanged", "components_of", "stem_stamps"]

_SLACK = 0.1  # seconds by which the stems' lengths may differ, as encoders pad


def components_of(config: ExplainConfig, sources: Components | None = None) -> Components | None:
    """Resolve the components of a configuration; its stems are read later, or are ``sources``."""
    if not config.stems:
        if config.rest:
            raise ParameterError(
                "rest is what stems lack of the sound, and there are none",
                advice=Advice("give ", Argument("stems")),
            )
        return None if config.components is None else resolve(config.components)
    text = config.components or SOURCE
    made = resolve(text, stems=sources or Stems(dict.fromkeys((SOURCE,))))
    if SOURCE not in text:
        raise ParameterError(
            f"components is {text!r}, and stems are given, which no component is made of",
            advice=Advice("write ", Argument("components", f"{SOURCE} * {text}")),
        )
    return made


class StemFiles:
    """Stems of one recording, read once.

    They are the files or folders of the configuration, without the recording itself; of several
    recordings, each has the folder below that is named like it.
    """

    def __init__(self, config: ExplainConfig, path: Path, recording: Recording) -> None:
        self._config, self._recording = config, recording
        files = stem_files(_paths(config, path), of=path)
        self._stems = {name: samples(file, sr=recording.sr) for name, file in files.items()}
        for name, stem in self._stems.items():
            if abs(len(stem) - recording.n_samples) > _SLACK * recording.sr:
                seconds = [n / recording.sr for n in (len(stem), recording.n_samples)]
                raise ParameterError(
                    f"the stem {files[name]} lasts {seconds[0]:.2f} s, the sound {seconds[1]:.2f} "
                    "s; cut both alike"
                )
        self._note = _note(path, files, recording.sr)

    def components(self, start: float) -> Components | None:
        """Make the components of the excerpt that begins at a second."""
        cut = {name: self._recording.cut(stem, start) for name, stem in self._stems.items()}
        return components_of(self._config, Stems(cut, self._config.rest, self._note))


def stem_stamps(config: ExplainConfig, path: Path) -> dict[str, Any]:
    """Stamp the stems of a recording, by file; those that cannot be read are left out."""
    stamps: dict[str, Any] = {}
    with suppress(ParameterError, OSError):
        for file in stem_files(_paths(config, path), of=path).values():
            stamps[str(file)] = records.stamp(file)
    return stamps


def are_unchanged(config: ExplainConfig, path: Path, before: Mapping[str, Any]) -> bool:
    """Return whether the stems of a recording have the content that was stamped."""
    with suppress(ParameterError, OSError):
        files = stem_files(_paths(config, path), of=path).values()
        return {str(file) for file in files} == set(before) and all(
            records.is_unchanged(file, before[str(file)]) for file in files
        )
    return not before


def _paths(config: ExplainConfig, path: Path) -> list[Path]:
    """List the files and folders that have the stems of a recording."""
    paths = list(config.stems or ())
    if len(config.sounds) == 1 and not config.sounds[0].is_dir():
        return paths
    if any(file.is_file() for file in paths):
        raise ParameterError(
            f"stems are files, and the sounds are {len(config.sounds)}: of several sounds each "
            "needs a folder of stems",
            advice=Advice("of one sound, each file has its own ", Argument("stems")),
        )
    folders = [folder / path.stem for folder in paths if (folder / path.stem).is_dir()]
    if not folders:
        raise ParameterError(
            f"stems: {', '.join(map(str, paths))} has no folder {path.stem!r}; of several sounds, "
            "each needs a folder of its stems that is named like it"
        )
    return folders


def _note(path: Path, files: Mapping[str, Path], sr: float) -> str:
    """Say in what a recording and its stems differ; empty if they are alike."""
    alike: dict[str, list[str]] = {}
    for name, file in {"the sound": path, **files}.items():
        with SoundReader(file) as reader:
            channels = "mono" if reader.n_channels == 1 else f"of {reader.n_channels} channels"
            alike.setdefault(f"{channels} at {reader.sr:,} Hz", []).append(name)
    if len(alike) == 1:
        return ""
    listed = "; ".join(f"{text}: {', '.join(names)}" for text, names in alike.items())
    return f" {listed}; all become mono at {sr:,g} Hz"
