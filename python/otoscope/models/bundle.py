"""Bundles: a trained model as two files, which are refused if one of them was altered.

``NAME.safetensors`` holds weights, mean and std. ``NAME.json`` holds class and settings of the
network, front end, excerpt length, output names, model card, and a SHA-256 over both files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike

from torch import nn

from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.foreign import refusing
from otoscope.models.checksummed import (
    halved,
    has_format,
    load_with_checksum,
    save_with_checksum,
)
from otoscope.models.genre import ConvDNN, FrameDNN
from otoscope.models.listener import Listener
from otoscope.models.svdnet import SVDNet
from otoscope.signal import FrontEnd
from otoscope.signal.mel.domain import read_compression

__all__ = [
    "DESPERF_FORMAT",
    "NETWORKS",
    "load_bundle",
    "read_card",
    "read_front_end",
    "save_bundle",
]

NETWORKS: dict[str, type[nn.Module]] = {
    network.__name__: network for network in (SVDNet, FrameDNN, ConvDNN)
}
"""Networks that a bundle can name; each has ``settings`` that build it again."""

DESPERF_FORMAT = "otoscope desperf 1"
"""Format of the bundles of `otoscope.models.desperf`."""

_FORMAT = "otoscope bundle 1"
_NOT_A_MODEL = "does not describe a model of this version"
_DESCRIPTION = {
    "network": dict,
    "front_end": dict,
    "patch_frames": int,
    "output_names": list,
    "card": dict,
}
_FRONT_END = {
    "sample_rate": int,
    "n_fft": int,
    "hop_length": int,
    "n_mels": int,
    "fmin": float,
    "fmax": float,
    "filters": str,
    "window": str | float | list,
    "power": float,
    "centred": bool,
    "compression": dict,
    "win_length": int | None,
    "norm": str | None,
    "pad_mode": str,
}
_SINCE = {"win_length": None, "norm": "slaney", "pad_mode": "constant"}  # not in older bundles
_LARGEST = (
    1 << 20
)  # frames, samples and bands: a description is short, what it asks for need not be


def save_bundle(
    path: str | PathLike[str], model: Listener, *, card: Mapping[str, str], half: bool = False
) -> None:
    """Write a model to a bundle.

    Parameters
    ----------
    path : str or PathLike
        Path of the two files without suffix; either suffix is accepted.
    model : Listener
        Model whose network is of a class in ``NETWORKS``.
    card : mapping of str to str
        Model card: purpose, licence, training data, limits.
    half : bool
        Store the weights of the network in float16, for half the size; they are loaded as float32.
        Mean and std stay float32.

    Raises
    ------
    ParameterError
        If the network's class is not in ``NETWORKS``, the front end is not a plain FrontEnd, or a
        weight is too large for float16.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> save_bundle("detector", model, card={"licence": "Apache-2.0"})  # doctest: +SKIP
    """
    name = type(model.network).__name__
    if NETWORKS.get(name) is not type(model.network):
        raise ParameterError(f"network is {name}; a bundle holds one of: {', '.join(NETWORKS)}")
    if type(model.front_end) is not FrontEnd:
        raise ParameterError(
            f"front_end is {type(model.front_end).__name__}; a bundle holds a plain FrontEnd"
        )
    if not model.signature.is_plain or model.per_excerpt:
        raise ParameterError(
            "the listener has layout, fixed, output, pooling or per_excerpt; a bundle holds a "
            "network of [batch, 1, frame, mel]"
        )
    description = {
        "format": _FORMAT,
        "network": {"class": name, "settings": getattr(model.network, "settings", {})},
        "front_end": asdict(model.front_end),
        "patch_frames": model.patch_frames,
        "output_names": list(model.output_names),
        "card": dict(card),
    }
    tensors = model.state_dict()
    if half:
        tensors = halved(tensors, "network.")
    save_with_checksum(path, tensors, description)


def load_bundle(path: str | PathLike[str]) -> Listener:
    """Read a model from a bundle.

    Parameters
    ----------
    path : str or PathLike
        Path of either file, with or without suffix.

    Returns
    -------
    Listener
        Model on the CPU, in eval mode.

    Raises
    ------
    ParameterError
        If a file is missing, is not part of a bundle, or was altered after it was written.

    Examples
    --------
    >>> load_bundle("detector.json")  # doctest: +SKIP
    """
    tensors, description = load_with_checksum(path, _FORMAT)
    with refusing(path, _NOT_A_MODEL):
        require_types(description, _DESCRIPTION, "the description")
        network = require_types(
            description["network"], {"class": str, "settings": dict}, "the network"
        )
        if not all(isinstance(name, str) for name in description["output_names"]):
            raise ParameterError("the output_names must be texts")
        model = Listener(
            NETWORKS[network["class"]](**network["settings"], seed=None),
            read_front_end(description["front_end"], description["patch_frames"]),
            mean=tensors["mean"],
            std=tensors["std"],
            patch_frames=description["patch_frames"],
            output_names=description["output_names"],
        )
        model.load_state_dict(tensors)
    return model.eval()


def read_front_end(settings: object, patch_frames: int) -> FrontEnd:
    """Build a front end from settings whose types and sizes are checked."""
    if isinstance(settings, dict):
        settings = {**_SINCE, **settings}
    checked = require_types(settings, _FRONT_END, "the front end")
    window = checked["window"]
    window = tuple(window) if isinstance(window, list) else window
    sizes = {name: checked[name] for name in ("n_fft", "hop_length", "n_mels")}
    if large := [name for name, size in sizes.items() if size > _LARGEST]:
        raise ParameterError(f"{large[0]} is {sizes[large[0]]}, at most {_LARGEST} is read")
    require_small_filterbank(sizes["n_fft"], sizes["n_mels"])
    if patch_frames * max(sizes["hop_length"], sizes["n_mels"]) > 1 << 30:
        raise ParameterError(f"patch_frames is {patch_frames}: an excerpt has too many samples")
    compression = read_compression(checked["compression"])
    return FrontEnd(**{**checked, "compression": compression, "window": window})


def require_small_filterbank(n_fft: int, n_mels: int) -> None:
    """Refuse a description whose filterbank would take more than half a gigabyte."""
    if n_mels * (n_fft // 2 + 1) > 1 << 26:
        raise ParameterError(f"{n_mels} mels of n_fft {n_fft} make too large a filterbank")


def read_card(path: str | PathLike[str]) -> dict[str, str]:
    """Read the model card of a bundle.

    Parameters
    ----------
    path : str or PathLike
        Path of either file, with or without suffix.

    Returns
    -------
    dict of str to str
        Card that was passed to `save_bundle` or `save_desperf`.

    Examples
    --------
    >>> read_card("detector")["licence"]  # doctest: +SKIP
    'Apache-2.0'
    """
    is_desperf = has_format(path, DESPERF_FORMAT)
    description = load_with_checksum(path, DESPERF_FORMAT if is_desperf else _FORMAT)[1]
    card: dict[str, str] = require_types(description, {"card": dict}, f"{path}")["card"]
    return card
