"""Two files that travel together and are refused if altered: tensors, and what they are.

``NAME.safetensors`` holds tensors; ``NAME.json`` their description and a SHA-256 over both files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.records import replacing

__all__ = ["seal", "unseal"]


def seal(
    path: str | PathLike[str], tensors: Mapping[str, Tensor], description: Mapping[str, Any]
) -> None:
    """Write both files, each whole or not at all.

    Parameters
    ----------
    path : str or PathLike
        The two files without their endings; either ending is accepted too.
    tensors : mapping of str to Tensor
        What goes into ``NAME.safetensors``.
    description : mapping of str to object
        What goes into ``NAME.json``; its ``format`` says what `unseal` must be asked for.

    Raises
    ------
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> seal("detector", {"mean": torch.zeros(80)}, {"format": "mine 1"})  # doctest: +SKIP
    """
    from safetensors.torch import save

    weights = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    sealed = {**description, "sha256": _checksum(weights, description)}
    weights_path, json_path = _files(path)
    # The description last: files cut short between the two are refused, not half believed.
    with replacing(weights_path) as draft:
        draft.write_bytes(weights)
    with replacing(json_path) as draft:
        draft.write_text(json.dumps(sealed, indent=2) + "\n")


def unseal(path: str | PathLike[str], kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read both files.

    Parameters
    ----------
    path : str or PathLike
        Either file, or their name without ending.
    kind : str
        The ``format`` that the description must have.

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU.
    description : dict of str to object
        Without its checksum.

    Raises
    ------
    ParameterError
        If a file is missing, of another kind, or was altered after it was written.

    Examples
    --------
    >>> unseal("detector", "mine 1")  # doctest: +SKIP
    """
    from safetensors.torch import load

    weights_path, json_path = _files(path)
    for file in (weights_path, json_path):
        if not file.is_file():
            raise ParameterError(f"{file} is not there; a bundle is two files, both needed")
    weights = weights_path.read_bytes()
    try:
        description = json.loads(json_path.read_text())
        written = str(description.get("format"))
    except (ValueError, AttributeError):
        written = ""
    name, _, version = written.rpartition(" ")
    of_kind, _, known = kind.rpartition(" ")
    if name == of_kind and version.isdecimal() and int(version) > int(known):
        raise ParameterError(
            f"{json_path} has format {written!r}, newer than {kind!r}; update otoscope"
        )
    if written != kind:
        raise ParameterError(f"{json_path} is not a bundle's description ({kind!r})")
    expected = description.pop("sha256", None)
    if _checksum(weights, description) != expected:
        raise ParameterError(
            f"{json_path.with_suffix('')} was altered or cut short after it was written: "
            "its SHA-256 does not match; get it again"
        )
    return load(weights), description


def _files(path: str | PathLike[str]) -> tuple[Path, Path]:
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".json", ".safetensors") else path
    return stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")


def _checksum(weights: bytes, description: Mapping[str, Any]) -> str:
    """SHA-256 over the weights and the description without its checksum, keys sorted."""
    digest = hashlib.sha256(weights)
    digest.update(json.dumps(description, sort_keys=True).encode())
    return digest.hexdigest()
