"""A batch without a model: texts in place of sounds, whose rows tell what the files hold."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.errors import ParameterError
from otoscope.records.parts import read_parts
from otoscope.workflows.batch.batch import BatchConfig, BatchResult, run_batch

__all__ = ["Tiny", "config_of", "files_in", "run_tiny", "texts"]


@dataclass(frozen=True)
class Tiny:
    """Workflow of a batch, in the schema of explain: the target is the text of the file.

    A file "kill" kills its process, "bad" is refused, "odd" raises another error; each file
    takes ``seconds``.
    """

    note: str = ""
    seconds: float = 0.0

    def as_task(self, place: object) -> TinyTask:
        return TinyTask(self)


class TinyTask:
    """The workflow in one process."""

    def __init__(self, config: Tiny) -> None:
        self._config = config
        self.identity: Mapping[str, str] = {"weights": "0123", "code": ""}
        self.settings: Mapping[str, Any] = {"note": config.note}

    def rows(self, path: Path, key: str) -> Iterator[dict[str, Any]]:
        text = path.read_text()
        time.sleep(self._config.seconds)
        if text == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "bad":
            raise ParameterError(f"{path} is bad")
        if text == "odd":
            raise KeyError(text)
        yield {"start": 0.0, "target": text, "output_all": float(os.getpid())}

    def beside(self, name: str) -> dict[str, bytes]:
        return {}


def texts(folder: Path, contents: Sequence[str]) -> Path:
    """Write files 000.txt, 001.txt, ... and their manifest; return the manifest."""
    folder.mkdir(exist_ok=True)
    names = [f"{number:05}.txt" for number in range(len(contents))]
    for name, text in zip(names, contents, strict=True):
        (folder / name).write_text(text)
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(["path", *names]) + "\n")
    return manifest


def config_of(manifest: Path, out: object, *, task: object = None, **settings: Any) -> BatchConfig:
    """Configure a batch of the tiny workflow."""
    return BatchConfig("explain", task or Tiny(), str(manifest), str(out), **settings)


def run_tiny(manifest: Path, out: object, *, task: object = None, **settings: Any) -> BatchResult:
    """Run it."""
    return run_batch(config_of(manifest, out, task=task, **settings))


def files_in(out: object) -> dict[str, str]:
    """Return the error of each file that the parts hold, each read once."""
    table = read_parts(str(out), columns=["file", "error"])
    files = table["file"].to_pylist()
    assert max(Counter(files).values()) == 1
    return dict(zip(files, table["error"].to_pylist(), strict=True))
