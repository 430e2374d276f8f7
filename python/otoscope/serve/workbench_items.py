"""Check requests of a browser to the workbench, and turn them into items of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from otoscope.data import sample, sample_names
from otoscope.errors import ParameterError
from otoscope.explain.content import CONTENTS
from otoscope.intervene import registered
from otoscope.models import zoo
from otoscope.serve.fields import SEGMENTS, choice, real, text
from otoscope.serve.uploads import Store
from otoscope.serve.workbench import WorkbenchSettings

__all__ = ["METHODS", "about", "uploads_of", "work_item"]

METHODS = {
    "pgd": "projected gradient descent on the waveform",
    "magnitude": "on the magnitudes of the spectrum",
    "square": "random squares, without a gradient: ten times the steps",
}
"""Methods of attack to choose from, with their descriptions."""

_CONTENT = "mean_inp"  # first in the list


def about(settings: WorkbenchSettings) -> dict[str, Any]:
    """List what can be chosen on the page."""
    limits = settings.limits
    entries = {entry.name: entry for entry in zoo.describe()}
    return {
        "models": [
            {"name": name, "task": entries[name].task, "about": entries[name].description}
            for name in settings.models
        ],
        "samples": sorted(sample_names(), key=lambda name: name != sample().path.stem),
        "contents": [{"name": name, "about": about} for name, about in _contents().items()],
        "segments": [{"name": name, "about": about} for name, about in SEGMENTS.items()],
        "methods": [{"name": name, "about": about} for name, about in METHODS.items()],
        "changes": [
            {
                "name": entry.option[2:],
                "title": str(entry.example),
                "about": entry.help,
                "usual": None if entry.value_type == "flag" else entry.usual,
            }
            for entry in registered()
        ],
        "most_bytes": limits.upload_bytes,
        "kept_minutes": limits.kept_seconds / 60,
    }


def work_item(item: Mapping[str, Any], settings: WorkbenchSettings, store: Store) -> dict[str, Any]:
    """Read what a browser asks for; files are those of the store or samples.

    Raises
    ------
    ParameterError
        If a field is missing or wrong, or an upload is gone.
    """
    kind = choice(item, "kind", tuple(_READERS))
    names: dict[str, str] = {}
    read = {"kind": kind, "model": choice(item, "model", settings.models)}
    read |= _READERS[kind](item, store, names)
    return read | {"names": names, "out": str(store.new_result())}


def uploads_of(item: Mapping[str, Any]) -> list[str]:
    """List the secret names of uploads and results that an item of work needs."""
    return [*(Path(path).stem for path in item["names"]), Path(item["out"]).name]


def _explain(item: Mapping[str, Any], store: Store, names: dict[str, str]) -> dict[str, Any]:
    return {
        **_excerpt(item, store, names),
        "content": choice(item, "content", tuple(_contents())),
        "segments": choice(item, "segments", tuple(SEGMENTS)),
    }


def _attack(item: Mapping[str, Any], store: Store, names: dict[str, str]) -> dict[str, Any]:
    return {
        **_excerpt(item, store, names),
        "snr_db": real(item, "snr_db", 30.0),
        "method": choice(item, "method", tuple(METHODS)),
    }


def _interrogate(item: Mapping[str, Any], store: Store, names: dict[str, str]) -> dict[str, Any]:
    upload = store.upload(text(item, "upload"))
    if not upload.is_archive:
        raise ParameterError(f"{upload.name} is no zip; zip a folder that has one per class")
    names[str(upload.path)] = upload.name
    changes = item.get("changes")
    known = {entry.option[2:]: entry for entry in registered()}
    if not isinstance(changes, dict) or not changes or not {*changes} <= {*known}:
        raise ParameterError(f"changes must name some of {', '.join(known)}, each with its dose")
    doses = {name: real(changes, name, known[name].usual) for name in changes}
    for name, dose in doses.items():
        if known[name].value_type != "flag":
            known[name].example.with_dose(dose)  # a wrong one is told now
    return {
        "archive": str(upload.path),
        "changes": doses,
        "unlabelled": bool(item.get("unlabelled")),
        "padded": bool(item.get("padded")),
    }


def _distance(item: Mapping[str, Any], store: Store, names: dict[str, str]) -> dict[str, Any]:
    read: dict[str, Any] = {
        "layer": text(item, "layer", "").strip() or None,
        "metric": choice(item, "metric", ("frechet", "kernel")),
        "padded": bool(item.get("padded")),
        "interval": bool(item.get("interval")),
        "per_file": bool(item.get("per_file")),
    }
    for side in ("real", "generated"):
        keys = item.get(side)
        if not isinstance(keys, list) or not 0 < len(keys) <= store.limits.files:
            raise ParameterError(f"{side} must be 1 to {store.limits.files} uploads")
        uploads = [store.upload(key) for key in dict.fromkeys(map(str, keys))]
        names |= {str(upload.path): upload.name for upload in uploads}
        read[side] = [str(upload.path) for upload in uploads]
    return read


_READERS: dict[str, Callable[..., dict[str, Any]]] = {
    "explain": _explain,
    "attack": _attack,
    "interrogate": _interrogate,
    "distance": _distance,
}


def _excerpt(item: Mapping[str, Any], store: Store, names: dict[str, str]) -> dict[str, Any]:
    """Read the sound and the place in it."""
    return {
        "sound": _sound(item, store, names),
        "target": text(item, "target", "").strip() or None,
        "start": None if item.get("start") is None else real(item, "start", 0.0),
        "padded": bool(item.get("padded")),
    }


def _sound(item: Mapping[str, Any], store: Store, names: dict[str, str]) -> str:
    if "sample" in item:
        song = sample(choice(item, "sample", sample_names())).path
        names[str(song)] = song.name
        return str(song)
    upload = store.upload(text(item, "upload"))
    if upload.is_archive:
        raise ParameterError(f"{upload.name} is an archive; choose one sound")
    names[str(upload.path)] = upload.name
    return str(upload.path)


@lru_cache(maxsize=1)
def _contents() -> dict[str, str]:
    """Contents that can be written in text, by their examples, with descriptions."""
    entries = [entry for entry in CONTENTS.entries.values() if entry.example]
    entries.sort(key=lambda entry: entry.name != _CONTENT)
    return {entry.example: entry.description for entry in entries}
