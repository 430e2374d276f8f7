"""Bundles: a trained model as two files that travel together and are refused if altered.

``NAME.safetensors`` holds weights, mean and std; ``NAME.json`` the network's class and settings,
the front end, the excerpt's length, output names, the card, and a SHA-256 over both files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from otoscope.errors import ParameterError
from otoscope.models.listener import Listener
from otoscope.models.svdnet import SVDNet
from otoscope.records import replacing
from otoscope.signal import Compression, FrontEnd

__all__ = ["NETWORKS", "load_bundle", "read_card", "save_bundle"]

NETWORKS: dict[str, type[nn.Module]] = {"SVDNet": SVDNet}
"""Networks that a bundle can name; each has ``settings`` that build it again."""

_FORMAT = "otoscope bundle 1"


def save_bundle(path: str | PathLike[str], model: Listener, *, card: Mapping[str, str]) -> None:
    """Write a model's two files, each whole or not at all.

    Parameters
    ----------
    path : str or PathLike
        The two files without their endings; either ending is accepted too.
    model : Listener
        Its network must be one of ``NETWORKS``.
    card : mapping of str to str
        Model card: what it is, licence, data it was trained on, limits.

    Raises
    ------
    ParameterError
        If the network is not one of ``NETWORKS``, or the front end not a plain FrontEnd.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> save_bundle("detector", model, card={"licence": "Apache-2.0"})  # doctest: +SKIP
    """
    from safetensors.torch import save

    name = type(model.network).__name__
    if NETWORKS.get(name) is not type(model.network):
        raise ParameterError(f"network is {name}; a bundle holds one of: {', '.join(NETWORKS)}")
    if type(model.front_end) is not FrontEnd:
        raise ParameterError(
            f"front_end is {type(model.front_end).__name__}; a bundle holds a plain FrontEnd"
        )
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    weights = save(tensors)
    description = {
        "format": _FORMAT,
        "network": {"class": name, "settings": getattr(model.network, "settings", {})},
        "front_end": asdict(model.front_end),
        "patch_frames": model.patch_frames,
        "output_names": list(model.output_names),
        "card": dict(card),
    }
    description["sha256"] = _checksum(weights, description)
    weights_path, json_path = _files(path)
    # The description last: a bundle cut short between the two is refused, not half believed.
    with replacing(weights_path) as draft:
        draft.write_bytes(weights)
    with replacing(json_path) as draft:
        draft.write_text(json.dumps(description, indent=2) + "\n")


def load_bundle(path: str | PathLike[str]) -> Listener:
    """Read a model's two files.

    Parameters
    ----------
    path : str or PathLike
        Either file, or their name without ending.

    Returns
    -------
    Listener
        On the CPU, in evaluation mode.

    Raises
    ------
    ParameterError
        If a file is missing, no bundle, or was altered after it was written.

    Examples
    --------
    >>> load_bundle("detector.json")  # doctest: +SKIP
    """
    from safetensors.torch import load

    weights, description = _read(path)
    try:
        network = description["network"]
        front_end = dict(description["front_end"])
        front_end["compression"] = Compression(**front_end["compression"])
        tensors = load(weights)
        model = Listener(
            NETWORKS[network["class"]](**network["settings"]),
            FrontEnd(**front_end),
            mean=tensors["mean"],
            std=tensors["std"],
            patch_frames=description["patch_frames"],
            output_names=description["output_names"],
        )
        model.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as err:
        raise ParameterError(f"{path} does not describe a model of this version: {err}") from err
    return model.eval()


def read_card(path: str | PathLike[str]) -> dict[str, str]:
    """Read a bundle's model card.

    Parameters
    ----------
    path : str or PathLike
        Either file, or their name without ending.

    Returns
    -------
    dict of str to str
        As it was given to `save_bundle`.

    Examples
    --------
    >>> read_card("detector")["licence"]  # doctest: +SKIP
    'Apache-2.0'
    """
    card: dict[str, str] = _read(path)[1]["card"]
    return card


def _files(path: str | PathLike[str]) -> tuple[Path, Path]:
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".json", ".safetensors") else path
    return stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")


def _read(path: str | PathLike[str]) -> tuple[bytes, dict[str, Any]]:
    weights_path, json_path = _files(path)
    for file in (weights_path, json_path):
        if not file.is_file():
            raise ParameterError(f"{file} is not there; a bundle is two files, both needed")
    weights = weights_path.read_bytes()
    try:
        description = json.loads(json_path.read_text())
        is_bundle = description.get("format") == _FORMAT
    except (ValueError, AttributeError):
        is_bundle = False
    if not is_bundle:
        raise ParameterError(f"{json_path} is not a bundle's description ({_FORMAT!r})")
    expected = description.pop("sha256", None)
    if _checksum(weights, description) != expected:
        raise ParameterError(
            f"{json_path.with_suffix('')} was altered or cut short after it was written: "
            "its SHA-256 does not match; get it again"
        )
    return weights, description


def _checksum(weights: bytes, description: Mapping[str, Any]) -> str:
    """SHA-256 over the weights and the description without its checksum, keys sorted."""
    digest = hashlib.sha256(weights)
    digest.update(json.dumps(description, sort_keys=True).encode())
    return digest.hexdigest()
