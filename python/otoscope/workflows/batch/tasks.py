"""Workflows as a batch runs them: made once in each process, with the model, then file by file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.metrics import FeatureSet
from otoscope.records.parts import PREFIX
from otoscope.records.places import Place
from otoscope.workflows.attack import Attacker
from otoscope.workflows.attack_methods import method_of
from otoscope.workflows.explain.explain import Explainer
from otoscope.workflows.explain.records import to_record
from otoscope.workflows.explain.settings import settings_of
from otoscope.workflows.features import SoundFeatures
from otoscope.workflows.interrogate.answers import Interrogator

__all__ = ["ADVERSARIES", "TASKS", "Task"]

ADVERSARIES = "_adversaries"
"""Folder below OUT for the adversaries; readers of parts pass over names that begin with _."""


class Task(Protocol):
    """A workflow with its model: rows of one file after another."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Return the digests that identify the model."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return all other settings, in JSON's types."""
        ...

    def rows(self, path: Path, key: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a file; ``key`` is its name in the manifest."""
        ...

    def beside(self, name: str) -> dict[str, bytes]:
        """Return the files that belong beside the part of the files since the last call."""
        ...


class _Explain:
    def __init__(self, config: Any, place: Place | None) -> None:
        self._explainer = Explainer(config)
        self.identity = self._explainer.identity
        self.settings = settings_of(config)

    def rows(self, path: Path, key: str) -> Iterator[dict[str, Any]]:
        config = self._explainer.config
        for result in self._explainer.of(path):
            record = to_record(result, config)
            row = {**record, "segments": [extent["name"] for extent in record.get("extents", ())]}
            yield row

    def beside(self, name: str) -> dict[str, bytes]:
        return {}


class _Attack:
    def __init__(self, config: Any, place: Place | None) -> None:
        if method_of(config) == "universal":
            raise ParameterError(
                "method is universal, one change for many sounds, and a batch attacks each file "
                "by itself; use otoscope attack FOLDER"
            )
        self._attacker, self._place = Attacker(config), place
        self.identity = self._attacker.identity
        settings = records.to_plain(config)
        self.settings = {name: settings[name] for name in settings if name not in ("sound", "out")}

    def rows(self, path: Path, key: str) -> Iterator[dict[str, Any]]:
        name = f"{Path(key).stem[:50]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.wav"
        with TemporaryDirectory() as folder:
            file = Path(folder) / name
            result = self._attacker.of(path, file)
            out = f"{ADVERSARIES}/{name}" if self._place else ""
            if self._place:
                self._place.write(out, file.read_bytes())
        for piece in result.pieces:
            measures = records.to_plain(piece.evaluation) or {}
            yield {
                **measures,
                "start": piece.start,
                "duration": len(piece.original) / result.sr,
                "out": out,
                "is_fooled": piece.is_fooled,
                "left": piece.left,
                "warnings": list(result.notes),
            }

    def beside(self, name: str) -> dict[str, bytes]:
        return {}


class _Interrogate:
    def __init__(self, config: Any, place: Place | None) -> None:
        self._interrogator = Interrogator(config)
        self.identity = self._interrogator.identity
        self.settings = self._interrogator.settings

    def rows(self, path: Path, key: str) -> Iterator[dict[str, Any]]:
        answers = list(self._interrogator.of(path, key))
        unchanged = answers[0].answer
        for it in answers:
            yield {
                "start": 0.0,
                "duration": it.duration,
                "intervention": it.intervention,
                "change": it.change,
                "dose": it.dose,
                "is_placebo": it.is_placebo,
                "answer": it.answer,
                "answer_unchanged": unchanged,
                "is_same": it.answer == unchanged,
            }

    def beside(self, name: str) -> dict[str, bytes]:
        return {}


class _Stats:
    def __init__(self, config: Any, place: Place | None) -> None:
        self._features = SoundFeatures(config)
        self._features.check()
        about = {**self._features.about}
        self.identity = {"weights": about.pop("weights"), "code": self._features.code}
        self.settings = about
        self._sum, self._files = FeatureSet.none(), list[str]()

    def rows(self, path: Path, key: str) -> Iterator[dict[str, Any]]:
        features, rate = self._features.extract(path)
        self._sum = self._sum.joined(features)
        self._files.append(key)
        yield {
            "start": 0.0,
            "n_excerpts": features.n_rows,
            "columns": features.columns,
            "rate": rate,
        }

    def beside(self, name: str) -> dict[str, bytes]:
        total, files = self._sum, self._files
        self._sum, self._files = FeatureSet.none(), []
        if not total.n_rows:
            return {}
        moments, sink = total.moments, io.BytesIO()
        parts = ("count", "mean", "scatter")
        arrays = {part: getattr(moments, part).numpy() for part in parts}
        names = np.frombuffer("\n".join(files).encode(), np.uint8)
        np.savez(sink, files=names, **arrays)
        return {f"_{PREFIX}{name.removeprefix(PREFIX)}.npz": sink.getvalue()}


TASKS: Mapping[str, Callable[[Any, Place | None], Task]] = {
    "explain": _Explain,
    "attack": _Attack,
    "interrogate": _Interrogate,
    "stats": _Stats,
}
"""What makes each workflow of a configuration; without a place nothing is written."""
