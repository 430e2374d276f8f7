"""DeSPerF as two files, which are refused if one of them was altered.

``NAME.safetensors`` holds weights, mean and std; ``NAME.json`` the settings of the system and its
feature, a card, and a SHA-256 over both files.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.foreign import refusing
from otoscope.models.bundle import DESPERF_FORMAT, require_small_filterbank
from otoscope.models.checksummed import halved, load_with_checksum, save_with_checksum
from otoscope.models.desperf.system import DeSPerF
from otoscope.models.waveform import WaveformListener
from otoscope.records import to_plain

__all__ = ["DESPERF_FORMAT", "load_desperf", "load_rhythm", "save_desperf"]

_DESCRIPTION = {"system": dict, "card": dict}
_SYSTEM = {
    "feature": dict,
    "output_names": list,
    "segment": float,
    "hop": float,
    "hidden": list,
    "unit": str,
    "dropout": float,
    "vote": str,
}
_FEATURE = {
    "sample_rate": int,
    "n_fft": int,
    "hop_length": int,
    "n_mels": int,
    "n_mfcc": int,
    "max_lag": float,
    "distance": str,
    "norm": str,
}
_LARGEST = 1 << 20  # of each number: a description is short, what it asks for need not be


def save_desperf(
    path: str | PathLike[str], system: DeSPerF, *, card: Mapping[str, str], half: bool = False
) -> None:
    """Write a system to two files.

    Parameters
    ----------
    path : str or PathLike
        Path of the two files without suffix; either suffix is accepted.
    system : DeSPerF
        System.
    card : mapping of str to str
        Model card: purpose, training data, limits.
    half : bool
        Store the weights of the network in float16, for half the size; they are loaded as float32.
        Mean and std stay float32.

    Raises
    ------
    ParameterError
        If a weight is too large for float16.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> save_desperf("dances", system, card={"licence": "Apache-2.0"})  # doctest: +SKIP
    """
    description = {
        "format": DESPERF_FORMAT,
        "system": to_plain(system.settings),
        "card": dict(card),
    }
    tensors = system.state_dict()
    save_with_checksum(path, halved(tensors, "network.") if half else tensors, description)


def load_desperf(path: str | PathLike[str]) -> DeSPerF:
    """Read a system.

    Parameters
    ----------
    path : str or PathLike
        Path of either file, with or without suffix.

    Returns
    -------
    DeSPerF
        System on the CPU, in eval mode.

    Raises
    ------
    ParameterError
        If a file is missing, is not of a system, or was altered after it was written.

    Examples
    --------
    >>> load_desperf("dances")  # doctest: +SKIP
    """
    tensors, description = load_with_checksum(path, DESPERF_FORMAT)
    with refusing(path, "does not describe a system of this version"):
        require_types(description, _DESCRIPTION, "the description")
        settings = require_types(description["system"], _SYSTEM, "the system")
        feature = require_types(settings["feature"], _FEATURE, "the feature")
        numbers = [*settings["hidden"], *(v for v in feature.values() if not isinstance(v, str))]
        if not all(isinstance(v, int | float) and 0 < v <= _LARGEST for v in numbers):
            raise ParameterError(f"a number of {numbers} is not in (0, {_LARGEST}]")
        if not all(isinstance(name, str) for name in settings["output_names"]):
            raise ParameterError("the output_names must be texts")
        require_small_filterbank(feature["n_fft"], feature["n_mels"])
        if settings["segment"] * feature["sample_rate"] > 1 << 30:
            raise ParameterError(f"segment is {settings['segment']} s: it has too many samples")
        system = DeSPerF(**settings, mean=tensors["mean"], std=tensors["std"], seed=None)
        system.load_state_dict(tensors)
    return system.eval()


def load_rhythm(path: str | PathLike[str]) -> WaveformListener:
    """Read a system as a listening model, whose excerpts are segments.

    Parameters
    ----------
    path : str or PathLike
        Path of either file, with or without suffix.

    Returns
    -------
    WaveformListener
        Model on the CPU, in eval mode; ``network`` is the `DeSPerF`.

    Raises
    ------
    ParameterError
        See `load_desperf`.

    Examples
    --------
    >>> load_rhythm("dances").output_names  # doctest: +SKIP
    ('Rumba', 'Waltz')
    """
    system = load_desperf(path)
    return WaveformListener(
        system,
        sample_rate=system.sample_rate,
        seconds=system.segment,
        output_names=system.output_names,
    ).eval()
