"""Bundles: a trained model as two files that travel together and are refused if altered.

``NAME.safetensors`` holds weights, mean and std; ``NAME.json`` the network's class and settings,
the front end, the excerpt's length, output names, the card, and a SHA-256 over both files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike

from torch import nn

from otoscope.errors import ParameterError
from otoscope.models.listener import Listener
from otoscope.models.sealed import seal, unseal
from otoscope.models.svdnet import SVDNet
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
    name = type(model.network).__name__
    if NETWORKS.get(name) is not type(model.network):
        raise ParameterError(f"network is {name}; a bundle holds one of: {', '.join(NETWORKS)}")
    if type(model.front_end) is not FrontEnd:
        raise ParameterError(
            f"front_end is {type(model.front_end).__name__}; a bundle holds a plain FrontEnd"
        )
    description = {
        "format": _FORMAT,
        "network": {"class": name, "settings": getattr(model.network, "settings", {})},
        "front_end": asdict(model.front_end),
        "patch_frames": model.patch_frames,
        "output_names": list(model.output_names),
        "card": dict(card),
    }
    seal(path, model.state_dict(), description)


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
    tensors, description = unseal(path, _FORMAT)
    try:
        network = description["network"]
        front_end = dict(description["front_end"])
        front_end["compression"] = Compression(**front_end["compression"])
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
    card: dict[str, str] = unseal(path, _FORMAT)[1]["card"]
    return card
