"""Two files of tensors and their description, with a checksum over both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.foreign import read_json, refusing
from otoscope.records import replacing, write_text

__all__ = ["bundle_files", "halved", "has_format", "load_with_checksum", "save_with_checksum"]


def save_with_checksum(
    path: str | PathLike[str], tensors: Mapping[str, Tensor], description: Mapping[str, Any]
) -> None:
    """Write tensors and their description with a checksum over both.

    ``description`` carries a ``format``, which `load_with_checksum` checks.
    """
    from safetensors.torch import save

    weights = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    contents = {**description, "sha256": _checksum(weights, description)}
    weights_path, json_path = bundle_files(path)
    # The description last: an interruption between the two writes leaves a wrong checksum.
    with replacing(weights_path) as draft:
        draft.write_bytes(weights)
    write_text(json_path, json.dumps(contents, indent=2) + "\n")


def halved(tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Round the tensors whose names begin with a prefix to float16, if it holds all values."""
    rounded = {
        name: value.half() if name.startswith(prefix) else value for name, value in tensors.items()
    }
    if large := [name for name, value in rounded.items() if not value.isfinite().all()]:
        raise ParameterError(f"{large[0]} has values that float16 does not hold; use half=False")
    return rounded


def load_with_checksum(
    path: str | PathLike[str], expected_format: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors (on the CPU) and their description; check format and checksum."""
    from safetensors.torch import load

    weights_path, json_path = bundle_files(path)
    if Path(path).is_dir() and not json_path.exists():
        raise ParameterError(
            f"{path} is a folder, and a bundle is two files; {_inside(Path(path))}"
        )
    for file in (weights_path, json_path):
        if not file.is_file():
            raise ParameterError(f"{file} is not there; a bundle is two files, both needed")
    weights = weights_path.read_bytes()
    try:
        description = read_json(json_path)
    except ParameterError as err:
        reason = f"not a bundle's description ({expected_format!r})"
        raise ParameterError(f"{err}; it is {reason}") from err
    file_format = str(description.get("format")) if isinstance(description, dict) else ""
    kind, _, version = file_format.rpartition(" ")
    expected_kind, _, known = expected_format.rpartition(" ")
    if kind == expected_kind and version.isdecimal() and int(version[:9]) > int(known):
        raise ParameterError(
            f"{json_path} has format {file_format!r}, newer than {expected_format!r}; "
            "update otoscope"
        )
    if file_format != expected_format:
        raise ParameterError(f"{json_path} is not a bundle's description ({expected_format!r})")
    if description.pop("sha256", None) != _checksum(weights, description):
        raise ParameterError(
            f"{json_path.with_suffix('')} was altered or cut short after it was written: "
            "its SHA-256 does not match; get it again"
        )
    with refusing(weights_path, "is not a file of tensors"):
        tensors = load(weights)
        for name, value in tensors.items():
            if value.is_complex() or not bool(value.isfinite().all()):
                what = "complex numbers" if value.is_complex() else "NaN or infinity"
                raise ParameterError(f"{name} holds {what}")
    return tensors, description


def has_format(path: str | PathLike[str], expected_format: str) -> bool:
    """Whether the description says that it has a format; False if it cannot be read."""
    try:
        description = read_json(bundle_files(path)[1])
    except (OSError, ParameterError):
        return False
    return isinstance(description, dict) and description.get("format") == expected_format


def bundle_files(path: str | PathLike[str]) -> tuple[Path, Path]:
    """Return the files of tensors and of the description, from either with or without suffix."""
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".json", ".safetensors") else path
    return stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")


def _inside(folder: Path) -> str:
    """Say which bundles a folder holds."""
    named = (file for file in sorted(folder.rglob("*.json")) if bundle_files(file)[0].is_file())
    names = [str(file) for file in islice(named, 3)]
    return f"in it is {' or '.join(names)}" if names else "there is none in it"


def _checksum(weights: bytes, description: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of the weights and of the description without checksum, keys sorted."""
    digest = hashlib.sha256(weights)
    digest.update(json.dumps(description, sort_keys=True).encode())
    return digest.hexdigest()
