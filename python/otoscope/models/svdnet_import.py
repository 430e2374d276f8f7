"""Import of the authors' singing-voice detector from TensorFlow 1 or Lasagne, with its scaling.

The names of the variables in these files are not documented: each weight is recognised by its
shape, which no other has, and each bias by its name or its place beside its weight.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.foreign import read_arrays, read_text, refusing
from otoscope.models.listener import Listener
from otoscope.models.svdnet import SVDNet
from otoscope.models.zoo.tf1_checkpoint import read_variables
from otoscope.signal import svd2015

__all__ = ["import_svdnet"]

Convolution = Literal["correlation", "convolution"]
Array = NDArray[np.generic]

_LAYERS = ("conv1", "conv2", "conv4", "conv5", "fc7", "fc8", "fc9")
_PLANE = (11, 7)  # frames and mels after pool6
_SLOTS = re.compile(r"(?i)momentum|adam|adagrad|rmsprop|exponentialmovingaverage|velocity")
_CONFIG = {
    "sample_rate": 22050,
    "frame_len": 1024,
    "fps": 70,
    "mel_bands": 80,
    "mel_min": 27.5,
    "mel_max": 8000,
    "blocklen": 115,
}
"""Fields of the authors' configuration that decide the input, with the values of the paper."""


def import_svdnet(
    checkpoint: str | PathLike[str],
    *,
    mean: str | PathLike[str],
    std: str | PathLike[str],
    config: str | PathLike[str] | None = None,
    filters: Convolution | None = None,
) -> Listener:
    """Read a detector that the authors of paper A have trained, with its mean and deviation.

    Parameters
    ----------
    checkpoint : str or PathLike
        Prefix or index file of a TensorFlow 1 checkpoint, or an ``.npz`` file of Lasagne's arrays.
    mean, std : str or PathLike
        80 values each, of log-mel bands: ``.npy``, text, or ``.npz`` with arrays "mean" and "std".
        Both may be one file.
    config : str or PathLike, optional
        The authors' configuration, lines ``name=value``. Fields that decide the input must have the
        values of the paper; the others are not read.
    filters : {"correlation", "convolution"}, optional
        How the layers applied their filters. By default "correlation" for TensorFlow; for Lasagne
        "convolution", whose filters are flipped.

    Returns
    -------
    Listener
        Model in evaluation mode, with the front end of Schlueter and Grill. Its one output is
        "singing"; of two, the first is "no singing".

    Raises
    ------
    ParameterError
        If a file cannot be read, a tensor is missing, left over or has another shape (named), or
        mean, std or configuration are not those of this input.

    Notes
    -----
    The files are in repositories without a licence: fetch them yourself, see the how-to page.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`. Schlüter and Grill (2015) :cite:`schlueter2015`.

    Examples
    --------
    >>> import_svdnet(
    ...     "models/svd/model1/Jamendo_augment_mel", mean="mean.npy", std="std.npy"
    ... ).output_names  # doctest: +SKIP
    ('singing',)
    """
    if config is not None:
        _check_config(Path(config))
    scaling = _scaling(Path(mean), "mean"), _scaling(Path(std), "std")
    name, variables, is_lasagne = _read(Path(checkpoint))
    filters = filters or ("convolution" if is_lasagne else "correlation")
    if filters not in ("correlation", "convolution"):
        raise ParameterError(f"filters is {filters!r}, must be 'correlation' or 'convolution'")
    state = _state(name, variables, is_lasagne=is_lasagne, is_flipped=filters == "convolution")
    n_outputs = len(state["fc9.bias"])
    network = SVDNet(n_outputs)
    network.load_state_dict(state)
    return Listener(
        network,
        svd2015(),
        mean=scaling[0],
        std=scaling[1],
        patch_frames=115,
        output_names=("singing",) if n_outputs == 1 else ("no singing", "singing"),
        name=Path(checkpoint).name.removesuffix(".npz").removesuffix(".index"),
    ).eval()


def _read(path: Path) -> tuple[str, Mapping[str, Array], bool]:
    """Read the variables of a file; say whether they have Lasagne's axes."""
    if path.suffix == ".npz":
        names = read_arrays(path, ())[1]
        variables = read_arrays(path, names)[0]
        ordered = dict(sorted(variables.items(), key=lambda entry: _natural(entry[0])))
        is_torch = not any(a.ndim == 4 and a.shape[:2] == (3, 3) for a in ordered.values())
        return str(path), ordered, is_torch
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    prefix = Path(re.sub(r"\.data-\d+-of-\d+$", "", str(prefix)))
    return str(prefix), read_variables(prefix), False


def _state(
    name: str, variables: Mapping[str, Array], *, is_lasagne: bool, is_flipped: bool
) -> dict[str, Tensor]:
    """Convert the variables to the state of our network; every number must have a place."""
    given = {
        key: np.asarray(values)
        for key, values in variables.items()
        if np.asarray(values).ndim and not _SLOTS.search(key)
    }
    n_outputs = 2 if any(a.shape == (64, 2) for a in given.values()) else 1
    shapes = {
        layer: tuple(weight.shape) for layer, weight in _weights(SVDNet(n_outputs)).items()
    }  # torch's: (out, in, 3, 3) and (out, in)
    weights, biases = dict[str, str](), dict[str, str]()
    for layer, shape in shapes.items():
        theirs = _their_shape(shape, is_lasagne=is_lasagne)
        keys = [key for key, values in given.items() if values.shape == theirs]
        if len(keys) != 1:
            raise _unlike(name, f"the weight of {layer}", theirs, keys, given)
        weights[layer] = keys[0]
    vectors = [key for key, values in given.items() if values.ndim == 1]
    in_order = dict(zip(weights, sorted(vectors, key=_natural), strict=False))
    for layer, weight in weights.items():
        scope = weight.rpartition("/")[0]
        beside = [key for key in vectors if scope and key.rpartition("/")[0] == scope]
        key = beside[0] if len(beside) == 1 else in_order.get(layer, "")
        size = (shapes[layer][0],)
        if key not in given or given[key].shape != size:
            raise _unlike(name, f"the bias of {layer}", size, [key] if key else [], given)
        biases[layer] = key
    if extra := [key for key in given if key not in {*weights.values(), *biases.values()}]:
        raise ParameterError(
            f"{name} has {extra[0]} {given[extra[0]].shape}, which SVDNet has no place for; it has "
            "7 weights and 7 biases, no batch normalisation"
        )
    state: dict[str, Tensor] = {}
    for layer in _LAYERS:
        place = f"{layer}." if layer == "fc9" else f"{layer}.0."
        weight_values = given[weights[layer]].astype(np.float32)
        state[f"{place}weight"] = _weight(
            layer, weight_values, is_lasagne=is_lasagne, is_flipped=is_flipped
        )
        state[f"{place}bias"] = torch.from_numpy(given[biases[layer]].astype(np.float32))
    for key, values in state.items():
        if not values.isfinite().all():
            raise ParameterError(f"{name} has numbers in {key} that are not finite")
    return state


def _weights(network: SVDNet) -> dict[str, Tensor]:
    """Return our weights by layer, in order."""
    return {
        key.partition(".")[0]: values
        for key, values in network.state_dict().items()
        if key.endswith("weight")
    }


def _their_shape(shape: Sequence[int], *, is_lasagne: bool) -> tuple[int, ...]:
    """Return the shape in which a file has our weight."""
    out, *others = shape
    if len(shape) == 4 and is_lasagne:
        return tuple(shape)
    return (*others[1:], others[0], out)


def _weight(layer: str, values: Array, *, is_lasagne: bool, is_flipped: bool) -> Tensor:
    """Convert one weight to torch's axes."""
    weight = torch.from_numpy(values.copy())
    if weight.ndim == 4:
        weight = weight if is_lasagne else weight.permute(3, 2, 0, 1)
        return weight.flip(2, 3).contiguous() if is_flipped else weight.contiguous()
    if layer == "fc7" and not is_lasagne:  # TensorFlow flattens (frame, mel, channel)
        weight = weight.reshape(*_PLANE, -1, weight.shape[1]).permute(2, 0, 1, 3).flatten(0, 2)
    return weight.T.contiguous()


def _unlike(
    name: str,
    what: str,
    shape: Sequence[int],
    keys: Sequence[str],
    given: Mapping[str, Array],
) -> ParameterError:
    """Make the error of a tensor that is missing, there twice, or of another shape."""
    listed = ", ".join(f"{key} {given[key].shape}" for key in list(given)[:20]) or "none"
    if len(keys) == 1:
        has = f"{keys[0]} has shape {given[keys[0]].shape}" if keys[0] in given else "none is there"
    else:
        has = f"{' and '.join(keys)} have it" if keys else "none has it"
    return ParameterError(
        f"{name}: {what} must have shape {tuple(shape)}, {has}; its tensors are {listed}"
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names by the numbers in them: W2 before W10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _scaling(path: Path, name: Literal["mean", "std"]) -> Tensor:
    """Read and check the mean or the deviation of each band."""
    if path.suffix == ".npz":
        names = read_arrays(path, ())[1]
        key = name if name in names else names[0] if len(names) == 1 else ""
        if not key:
            raise ParameterError(f"{path} has arrays {', '.join(names)}, must have {name!r}")
        values = read_arrays(path, [key])[0][key]
    elif not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    else:
        with refusing(path, "is no array of 80 numbers (.npy, .npz or text)"):
            if path.suffix == ".npy":
                values = np.load(path, allow_pickle=False)
            else:
                values = np.loadtxt(io.StringIO(read_text(path)), ndmin=1)
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.size != 80:
        raise ParameterError(f"{path} has {array.dtype} {array.shape}, {name} must be 80 numbers")
    scale = torch.from_numpy(array.reshape(80).astype(np.float64))
    low, high = float(scale.min()), float(scale.max())
    least, most = (-16.2, 10.0) if name == "mean" else (0.0, 10.0)
    if not (scale.isfinite().all() and least < low and high < most):
        raise ParameterError(
            f"{path} has values in [{low:.4g}, {high:.4g}]; the {name} of the natural logs of mel "
            f"magnitudes lies between {least:g} and {most:g}: it is of another scaling",
            advice=Advice("name the file that belongs to the checkpoint by ", Argument(name)),
        )
    return scale.float()


def _check_config(path: Path) -> None:
    """Refuse a configuration whose input is not that of the paper."""
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    with refusing(path, "is no text of lines name=value"):
        lines = read_text(path).splitlines()
    pairs = [line.partition("=")[::2] for line in lines if "=" in line]
    fields = {name.strip(): value.strip() for name, value in pairs}
    if not fields.keys() & _CONFIG.keys():
        raise ParameterError(f"{path} has none of the fields {', '.join(_CONFIG)}")
    for name, needed in _CONFIG.items():
        value = fields.get(name, str(needed))
        try:
            is_equal = float(value) == needed
        except ValueError:
            is_equal = False
        if not is_equal:
            raise ParameterError(f"{path}: {name} is {value}, the network was made for {needed:g}")
